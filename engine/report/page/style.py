"""The page's style sheet: quiet, light or dark as the reader's system is, and fit to be printed."""

from __future__ import annotations

from speedtui.engine.report.books import GROUPS

GROUP_CLASSES = dict(
    zip((name for name, _ in GROUPS), ("steps", "evals", "saves", "between", "start", "still", "rest"), strict=True)
)
"""The class that colours each group of phases."""

_LIGHT = """
  --page: #f6f6f3; --paper: #ffffff; --ink: #1c2227; --soft: #5d6872; --faint: #8d969e; --line: #e2e5e7;
  --steps: #3a74c2; --evals: #d8912f; --saves: #7c5cbf; --between: #3c9a8c; --start: #8c99a6; --still: #c6524e;
  --rest: #c5cbd0; --good: #2c8a57; --warn: #b7791f; --bad: #c0433f;
"""
_DARK = """
  --page: #14181b; --paper: #1b2024; --ink: #e4e8eb; --soft: #9fabb5; --faint: #75818b; --line: #2e363c;
  --steps: #6ba1e6; --evals: #e6ab58; --saves: #a78ce0; --between: #62c0b1; --start: #7f8d9a; --still: #e27d79;
  --rest: #4c565e; --good: #5cc28b; --warn: #e0b155; --bad: #ec817d;
"""
_RULES = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 980px; margin: 0 auto; padding: 40px 24px 56px; }
header h1 { margin: 0; font-size: 26px; line-height: 1.25; font-weight: 650; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
header .what { margin: 6px 0 0; max-width: none; color: var(--soft); overflow-wrap: anywhere; }
.top { display: flex; gap: 16px; align-items: flex-start; justify-content: space-between; }
.pill { flex: none; margin-top: 3px; padding: 4px 13px; border-radius: 99px; font-size: 13px; font-weight: 600;
  border: 1.5px solid currentColor; color: var(--soft); white-space: nowrap; }
.pill.good { color: var(--good); } .pill.warn { color: var(--warn); } .pill.bad { color: var(--bad); }
.said { margin: 14px 0 0; padding: 10px 14px; border-left: 3px solid var(--line); color: var(--soft); }
.said.bad { border-color: var(--bad); color: var(--ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(166px, 1fr)); gap: 12px; margin: 24px 0 0; }
.tile, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px; }
.tile b { display: block; font-size: 22px; line-height: 1.3; font-weight: 620; letter-spacing: -.01em; }
.tile i { font-style: normal; color: var(--soft); font-size: 13px; }
.tile em { display: block; font-style: normal; color: var(--faint); font-size: 12.5px; line-height: 1.4; }
section { margin: 16px 0 0; padding: 20px 22px 22px; break-inside: avoid; }
h2 { margin: 0 0 2px; font-size: 16px; font-weight: 640; }
h2 + p { margin-top: 0; }
p { margin: 0 0 12px; color: var(--soft); max-width: 76ch; }
svg { display: block; width: 100%; height: auto; margin-top: 8px; overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); } svg .strong { fill: var(--ink); font-weight: 600; }
svg .on { fill: #10151a; font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .zero { stroke: var(--faint); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg .seam { stroke: var(--paper); stroke-width: 1; }
svg .limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .margin { fill: var(--bad); fill-opacity: .1; }
svg .whisker { stroke: var(--soft); stroke-width: 1.5; fill: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; font-size: 13.5px; }
th { text-align: left; font-weight: 560; color: var(--soft); border-bottom: 1px solid var(--line); }
th, td { padding: 4px 14px 4px 0; vertical-align: baseline; } th:last-child, td:last-child { padding-right: 0; }
td.n, th.n { text-align: right; white-space: nowrap; }
tr.group td { font-weight: 600; padding-top: 9px; }
tr.total td { border-top: 1px solid var(--line); font-weight: 600; }
tr.inside td:first-child { padding-left: 26px; color: var(--soft); } tr.best td { font-weight: 640; }
th.n + th:not(.n), td.n + td:not(.n) { padding-left: 10px; }
td.bar { width: 34%; padding-right: 0; }
td.bar span { display: block; height: 9px; border-radius: 2px; min-width: 1px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 10px; }
ol.costs { list-style: none; margin: 10px 0 0; padding: 0; }
ol.costs li { display: grid; grid-template-columns: 210px 1fr; gap: 4px 20px; padding: 10px 0;
  border-top: 1px solid var(--line); }
ol.costs li:first-child { border-top: 0; } ol.costs b { font-weight: 640; }
ol.costs span { color: var(--soft); } ol.costs .gain { color: var(--good); font-weight: 600; }
code, pre { font: 12.5px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; } pre { margin: 10px 0 0; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 10px 0 0; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.pair { columns: 2 380px; column-gap: 36px; } .pair dl { margin: 0 0 14px; }
.pair > * { break-inside: avoid; }
h3 { margin: 10px 0 2px; font-size: 13.5px; font-weight: 620; }
footer { margin-top: 26px; color: var(--faint); font-size: 12.5px; }
@media (max-width: 620px) { main { padding: 22px 12px; } ol.costs li { grid-template-columns: 1fr; }
  .top { flex-direction: column; gap: 8px; }
  td.bar { display: none; } }
"""


def style_sheet() -> str:
    """All rules; the reader's system decides between light and dark, paper is always light."""
    colours = "\n".join(
        f".{name} {{ fill: var(--{name}); background: var(--{name}); stroke: none; }}\n"
        f".line.{name} {{ stroke: var(--{name}); fill: none; background: none; }}"
        for name in GROUP_CLASSES.values()
    )
    return (
        f":root {{ color-scheme: light dark;{_LIGHT}}}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{{_DARK}}} }}\n"
        f"{_RULES}{colours}\n"
        f"@media print {{ :root {{{_LIGHT} --page: #ffffff; }} main {{ max-width: none; padding: 0; }}\n"
        "  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } section { padding: 14px 16px; } }\n"
    )
