/** The style of the hub's own pages. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --link: light-dark(#0b57d0, #8ab4f8); --bad: light-dark(#b3261e, #f2b8b5); }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
main.narrow { max-width: 24rem; margin: 10vh auto 0; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; } h3 { margin: 1.5rem 0 .25rem; font-size: 1.05rem; }
a { color: var(--link); }
label { display: block; margin-top: .75rem; }
input, button { font: inherit; width: 100%; padding: .5rem .6rem; border: 1px solid var(--line); border-radius: .35rem; }
button { margin-top: 1rem; cursor: pointer; font-weight: 600; }
button.second { font-weight: 400; background: none; color: inherit; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code, pre { font: .9em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .6rem .8rem; border-radius: .35rem; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 .8rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--soft); }
th { font-weight: 600; }
details { border-bottom: 1px solid var(--soft); padding: .4rem 0; }
summary { cursor: pointer; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.scope { float: right; font-size: .85em; opacity: .8; }
.bad { color: var(--bad); } .bad:empty { display: none; }
[hidden] { display: none; }
`;
