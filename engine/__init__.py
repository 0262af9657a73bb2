"""The engine: measures, predicts, plans and runs. It knows no screen."""
