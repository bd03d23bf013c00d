// Live regions. A page names its object by <… data-live="/ws/pipe/x">; the server sends the state of the moment and then every
// change as ready-made parts, which are morphed into place by their element id (focus, scrolling and open menus stay).
// While the socket is down the page says so and asks for the same parts over HTTP.
(() => {
  "use strict";
  const RETRY_MS = [500, 1000, 2000, 4000, 8000];
  const POLL_MS = 5000;
  const root = document.querySelector("[data-live]");
  if (!root) return;

  const notice = document.getElementById("live-notice");
  let attempt = 0;
  let polling = null;

  function swap(parts) {
    for (const [id, html] of Object.entries(parts)) {
      const element = document.getElementById(id);
      if (!element) continue;
      Idiomorph.morph(element, html, { morphStyle: "outerHTML", ignoreActiveValue: true });
      const fresh = document.getElementById(id);
      htmx.process(fresh);
      fresh.dispatchEvent(new CustomEvent("fustor:swapped", { bubbles: true }));
    }
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${root.dataset.live}`);
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      attempt = 0;
      settle(frame.hints === false);
      swap(frame.parts);
      document.dispatchEvent(new CustomEvent("fustor:frame", { detail: frame }));
      // the server holds the next frame back until this one is on the page: a slow browser gets fewer, never late ones
      socket.send(JSON.stringify({ shown: frame.number }));
    };
    socket.onclose = (event) => {
      if (event.code === 4404 || event.code === 4401 || event.code === 4403) { location.reload(); return; }
      degrade();
      setTimeout(connect, RETRY_MS[Math.min(attempt++, RETRY_MS.length - 1)]);
    };
  }

  function settle(withoutHints) {
    notice.hidden = !withoutHints;
    document.documentElement.dataset.liveState = withoutHints ? "slow" : "live";
    clearInterval(polling);
    polling = null;
  }

  function degrade() {
    notice.hidden = attempt < 1;
    document.documentElement.dataset.liveState = "down";
    polling ??= setInterval(poll, POLL_MS);
  }

  // also called by pages that keep a region of their own fresh
  async function poll() {
    const answer = await fetch(location.href, { headers: { "X-Fustor-Parts": "1" } }).catch(() => null);
    if (answer && answer.ok) {
      const frame = { ...(await answer.json()), polled: true };
      swap(frame.parts);
      document.dispatchEvent(new CustomEvent("fustor:frame", { detail: frame }));
    }
  }

  window.fustorLive = { refresh: poll };
  connect();
})();
