"""The look of every page: one style sheet and the script of the copy buttons."""

from __future__ import annotations

STYLE = """
:root{--bg:#fbfbfa;--panel:#fff;--ink:#1d2329;--soft:#59636e;--line:#dfe3e8;--code:#f1f3f5;
--c0:#2563c9;--c1:#c2570c;--c2:#0f7b6c;--c3:#8445bd;--c4:#b0265f;--c5:#6b7280;
--good:#1a7f37;--warn:#9a6700;--bad:#c0262d}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1c2126;--ink:#e4e8ec;--soft:#9aa5b1;--line:#333b44;
--code:#262c33;--c0:#6ea8fe;--c1:#f0934e;--c2:#4fc3ae;--c3:#bf94ee;--c4:#f07ba5;--c5:#9aa5b1;
--good:#57c271;--warn:#e0b040;--bad:#ff7b72}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:980px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .35rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:0 0 .7rem;overflow-wrap:anywhere}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.5rem 0;max-width:72ch}
.lead{overflow-wrap:anywhere;color:var(--soft);font-size:1.03rem;margin:0 0 1rem}
nav{display:flex;flex-wrap:wrap;gap:6px 16px;font-size:.9rem;margin-bottom:18px}
a{color:var(--c0);text-underline-offset:.2em}
section{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:20px 22px;
margin:0 0 18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:.4rem 0 1rem}
.tile{border:1px solid var(--line);border-radius:8px;padding:10px 12px;display:flex;flex-direction:column;
min-width:0}
.tile .name{color:var(--soft);font-size:.82rem}
.tile .value{font-size:1.4rem;font-weight:600;line-height:1.3;overflow-wrap:anywhere}
.tile .remark{color:var(--soft);font-size:.82rem}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.93rem}
caption{text-align:left;color:var(--soft);padding:0 0 6px;font-size:.9rem}
th,td{text-align:left;padding:7px 12px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:.85rem}
td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
figure{margin:.8rem 0 1rem}
figcaption{color:var(--soft);font-size:.88rem;margin-top:6px;max-width:80ch}
img{max-width:100%;height:auto;image-rendering:pixelated;border-radius:4px;display:block}
.wide img{max-width:none}
.command{display:flex;align-items:stretch;background:var(--code);border:1px solid var(--line);
border-radius:8px;margin:.5rem 0;overflow:hidden}
.command pre{margin:0;padding:10px 12px;overflow-x:auto;flex:1;min-width:0}
code,pre{font:.87rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
button{font:inherit;font-size:.85rem;color:var(--ink);background:var(--panel);border:1px solid var(--line);
border-radius:6px;padding:5px 12px;cursor:pointer}
button:hover{border-color:var(--soft)}
button:focus-visible,input:focus-visible,select:focus-visible,a:focus-visible,summary:focus-visible{
outline:2px solid var(--c0);outline-offset:2px}
.copy{border-width:0 0 0 1px;border-radius:0;min-width:64px;color:var(--soft)}
.notice{border-left:3px solid var(--c0);background:var(--code);padding:9px 13px;border-radius:0 6px 6px 0;
max-width:none}
.notice.good{border-color:var(--good)}.notice.warn{border-color:var(--warn)}.notice.bad{border-color:var(--bad)}
details{margin:.7rem 0}summary{cursor:pointer;color:var(--soft)}
input[type=range]{width:100%;accent-color:var(--c0)}
.chart{display:block;width:100%;max-width:640px;height:auto;overflow:visible}
.chart text{fill:var(--soft);font:13px system-ui,"DejaVu Sans",sans-serif}
.chart .ink{fill:var(--ink)}
.chart .axis{stroke:var(--soft);stroke-width:1}.chart .rule{stroke:var(--line);stroke-width:1}
.chart .reference{stroke:var(--ink);stroke-width:1.3;stroke-dasharray:5 4}
.chart .error{stroke:var(--ink);stroke-width:1.4}
.chart .mark{stroke:var(--ink);stroke-width:2.6}
.chart .curve{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.87rem;color:var(--soft);margin:0 0 4px}
.legend i{display:inline-block;width:16px;height:3px;border-radius:2px;vertical-align:middle;margin-right:6px}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}
.s5{stroke:var(--c5)}
.f0{fill:var(--c0);background:var(--c0)}.f1{fill:var(--c1);background:var(--c1)}
.f2{fill:var(--c2);background:var(--c2)}.f3{fill:var(--c3);background:var(--c3)}
.f4{fill:var(--c4);background:var(--c4)}.f5{fill:var(--c5);background:var(--c5)}
footer{color:var(--soft);font-size:.85rem;padding:4px 2px}
@media(max-width:560px){main{padding:18px 12px 40px}section{padding:15px 14px}h1{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr}.command pre{white-space:pre-wrap;overflow-wrap:anywhere}}
@media print{section{break-inside:avoid}.copy{display:none}}
"""

SCRIPT = """
document.addEventListener("click",function(event){
var button=event.target.closest(".copy");if(!button)return;
var code=button.parentNode.querySelector("code"),done=function(){
button.textContent="copied";setTimeout(function(){button.textContent="copy"},1500)};
var select=function(){var range=document.createRange();range.selectNodeContents(code);
var chosen=getSelection();chosen.removeAllRanges();chosen.addRange(range)};
if(navigator.clipboard)navigator.clipboard.writeText(code.textContent).then(done,select);
else{select();if(document.execCommand("copy"))done()}});
"""
