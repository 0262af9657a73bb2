"""What a study and a run leave behind: trials.json, train.sh, report.json and a summary for people."""
