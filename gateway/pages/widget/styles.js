/** The look of the panel. Sites change it by the `--jono-` properties. */
export const styles = `
:host { --accent: var(--jono-accent, #1d4ed8); --on-accent: var(--jono-accent-text, #fff); --radius: var(--jono-radius, 18px);
  --surface: var(--jono-background, #fff); --sunken: #f3f5f9; --bubble: #e9edf4; --text: var(--jono-text, #171c26); --soft: #566072;
  --line: #d9dee8; --edge: #848da0; --link: var(--accent); --bad: #b42318; --bad-back: #fdecea; --warn-back: #fff4d6; --warn: #6b4a00; --shade: #0f172a33;
  --font: var(--jono-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif); }
.root { font: 15px/1.45 var(--font); color: var(--text); color-scheme: light; text-align: start; }
.root.dark { --surface: var(--jono-background, #161b26); --sunken: #10141d; --bubble: #262e3e; --text: var(--jono-text, #eef1f7); --soft: #a9b3c6;
  --line: #2d3648; --edge: #7c879c; --link: color-mix(in srgb, var(--accent) 45%, #fff); --bad: #ffb4ab; --bad-back: #43201d; --warn-back: #3d3212;
  --warn: #ffe2a0; --shade: #000a; color-scheme: dark; }
.root *, .root *::before { box-sizing: border-box; }
[hidden] { display: none !important; }
.badge { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; padding: 0 6px; border-radius: 11px; background: #c81e1e; color: #fff;
  font: 600 13px/22px var(--font, system-ui, sans-serif); text-align: center; box-shadow: 0 0 0 2px #fff; }
.panel { position: absolute; right: 0; bottom: 0; width: 384px; height: min(660px, calc(100dvh - 40px)); display: flex; flex-direction: column;
  overflow: hidden; background: var(--surface); border-radius: var(--radius); box-shadow: 0 0 0 1px var(--line), 0 18px 60px var(--shade);
  animation: rise .18s ease-out; }
:host([side=left]) .panel { right: auto; left: 0; }
@keyframes rise { from { opacity: 0; translate: 0 12px; } }
@media (max-width: 480px), (max-height: 480px) {
  .panel { position: fixed; inset: 0 0 auto 0; width: auto; height: var(--viewport, 100dvh); border-radius: 0; animation: none; }
  .panel input, .panel textarea { font-size: 16px; }
}
@media (prefers-reduced-motion) { .panel, .root *, .root *::before { animation: none !important; transition: none !important; } }
h2, h3, p, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
button, input, textarea { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
:is(input, textarea):focus-visible { outline-offset: -2px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
svg { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; flex: none; }

.top { display: flex; align-items: center; gap: 12px; padding: 14px 10px 14px 16px; background: var(--accent); color: var(--on-accent); }
.top :focus-visible { outline-color: currentColor; outline-offset: -3px; }
.avatar { display: grid; place-items: center; width: 40px; height: 40px; flex: none; border-radius: 50%; font-weight: 600; font-size: 17px;
  background: color-mix(in srgb, var(--on-accent) 18%, var(--accent)); }
.names { flex: 1; min-width: 0; }
.names > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
h2 { font-size: 16px; line-height: 1.3; font-weight: 650; }
.names p { font-size: 13px; }
.icon { display: grid; place-items: center; width: 40px; height: 40px; padding: 0; border: 0; border-radius: 12px; background: none; color: inherit; }
.icon:hover { background: color-mix(in srgb, currentColor 16%, transparent); }

.notice { display: flex; align-items: center; gap: 10px; padding: 9px 16px; font-size: 14px; background: var(--sunken); border-bottom: 1px solid var(--line); }
.notice > span { flex: 1; }
.notice.bad { background: var(--bad-back); color: var(--bad); }
.notice.warn { background: var(--warn-back); color: var(--warn); }
.notice button, .small { padding: 5px 12px; border: 1px solid currentColor; border-radius: 999px; background: none; font-size: 14px; font-weight: 600; white-space: nowrap; }
.queue { flex-direction: column; align-items: flex-start; gap: 0; padding: 12px 16px; }
.queue strong { font-weight: 650; font-size: 15px; }
.queue strong::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 9px; border-radius: 50%; background: var(--link); animation: blink 2s infinite; }
.queue span { color: var(--soft); }
.queue span:empty { display: none; }

.body { flex: 1; min-height: 0; display: flex; flex-direction: column; }
.panel:focus { outline: none; }
.choice, .ending { padding: 20px 16px; overflow-y: auto; display: flex; flex-direction: column; gap: 16px; }
.choice { flex: 1; }
h3 { font-size: 20px; line-height: 1.25; font-weight: 650; text-wrap: balance; }
legend, .field span { display: block; padding: 0; margin-bottom: 6px; font-size: 14px; font-weight: 600; }
.cards { display: grid; gap: 8px; }
.card { position: relative; display: flex; align-items: center; gap: 10px; padding: 11px 14px; border: 1px solid var(--edge); border-radius: 12px; cursor: pointer; overflow-wrap: anywhere; }
.card:hover { background: var(--sunken); }
.card:has(:checked) { border-color: var(--link); box-shadow: inset 0 0 0 1px var(--link); }
.card:has(:disabled) { color: var(--soft); border-style: dashed; cursor: default; }
.card input { accent-color: var(--link); width: 18px; height: 18px; margin: 0; flex: none; }
.card span { flex: 1; }
.card em { font-style: normal; font-size: 13px; }
.field input, textarea { display: block; width: 100%; padding: 10px 14px; border: 1px solid var(--edge); border-radius: 12px; background: var(--surface); resize: none; }
.primary { padding: 12px 18px; border: 0; border-radius: 12px; background: var(--accent); color: var(--on-accent); font-weight: 600; text-align: center; }
.primary:hover { background: color-mix(in srgb, var(--accent) 88%, #000); }
.primary[aria-disabled=true] { background: var(--bubble); color: var(--soft); cursor: default; }
.problem { color: var(--bad); font-size: 14px; }
.problem:empty { display: none; }

.log { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 14px 14px 6px; display: flex; flex-direction: column; gap: 3px; }
.log:focus-visible { outline-offset: -3px; }
.day, .line { align-self: center; max-width: 90%; padding: 8px 0; color: var(--soft); font-size: 13px; text-align: center; overflow-wrap: anywhere; }
.day::first-letter { text-transform: uppercase; }
.message { max-width: 84%; align-self: flex-start; }
.message.mine { align-self: flex-end; }
.message.first { margin-top: 9px; }
.author { display: block; padding: 0 12px 2px; font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }
.bubble { padding: 8px 12px; border-radius: 16px; border-bottom-left-radius: 5px; background: var(--bubble); width: fit-content; }
.mine .bubble { border-radius: 16px; border-bottom-right-radius: 5px; background: var(--accent); color: var(--on-accent); margin-left: auto; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.text a { color: inherit; text-underline-offset: 2px; }
.text a:focus-visible { outline-color: currentColor; }
.meta { display: flex; gap: 5px; align-items: center; justify-content: flex-end; margin-top: 2px; font-size: 12px; line-height: 1.2; color: var(--soft); }
.mine .meta { color: inherit; }
.meta svg { width: 15px; height: 15px; }
.unsent .bubble { background: color-mix(in srgb, var(--accent) 78%, #000); }
.failed { display: flex; gap: 10px; align-items: center; justify-content: flex-end; padding-top: 5px; color: var(--bad); font-size: 13px; }
.typing { display: flex; align-items: center; gap: 8px; min-height: 26px; padding: 0 16px; color: var(--soft); font-size: 13px; }
.dots { display: inline-flex; gap: 4px; }
.dots i { width: 6px; height: 6px; border-radius: 50%; background: currentColor; animation: blink 1.2s infinite; }
.dots i:nth-child(2) { animation-delay: .2s; }
.dots i:nth-child(3) { animation-delay: .4s; }
@keyframes blink { 0%, 60%, 100% { opacity: .3; } 30% { opacity: 1; } }
.newest { position: absolute; left: 50%; bottom: 6px; translate: -50% 0; padding: 6px 14px; border: 0; border-radius: 999px; background: var(--text); color: var(--surface); font-size: 13px; font-weight: 600; box-shadow: 0 3px 12px var(--shade); }
.scroller { position: relative; flex: 1; min-height: 0; display: flex; flex-direction: column; }

.composer { display: flex; align-items: flex-end; gap: 8px; padding: 10px 12px 12px; border-top: 1px solid var(--line); }
.composer textarea { max-height: 140px; border-radius: 20px; line-height: 1.4; overflow-y: auto; }
.composer .icon { width: 42px; height: 42px; flex: none; border-radius: 50%; background: var(--accent); color: var(--on-accent); }
.composer .icon[aria-disabled=true] { background: var(--bubble); color: var(--soft); cursor: default; }
.composer-problem { padding: 6px 16px 0; }
.confirm { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; padding: 14px 16px; border-top: 1px solid var(--line); background: var(--sunken); }
.confirm p { flex: 1 1 100%; font-weight: 600; }
.blocked { padding: 14px 16px; border-top: 1px solid var(--line); background: var(--sunken); text-align: center; }
.ending { flex: none; max-height: 70%; gap: 12px; border-top: 1px solid var(--line); background: var(--sunken); }
.thanks, .ending legend { font-size: 16px; font-weight: 650; text-align: center; width: 100%; }
.marks { display: flex; justify-content: center; gap: 4px; }
.mark { position: relative; padding: 4px; border-radius: 10px; cursor: pointer; }
.mark input { position: absolute; inset: 0; opacity: 0; margin: 0; width: 100%; height: 100%; cursor: pointer; }
.mark svg { display: block; width: 34px; height: 34px; stroke: var(--edge); stroke-width: 1.6; }
.mark.on svg { fill: #f5b301; stroke: #b27b00; }
.mark:has(:focus-visible) { outline: 2px solid var(--link); }
.chosen { min-height: 1.45em; text-align: center; color: var(--soft); font-size: 14px; }
.wait { margin: auto; color: var(--soft); }
`;
