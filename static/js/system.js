// Tries a websocket from this browser and says whether it works and how fast the first frame came.
(() => {
  "use strict";
  const PATIENCE_MS = 5000;
  const state = document.getElementById("socket-state");
  const detail = document.getElementById("socket-detail");
  const started = performance.now();
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws/fleet`);

  function show(works) {
    clearTimeout(patience);
    state.replaceChildren(document.getElementById(works ? "socket-ok" : "socket-bad").content.cloneNode(true));
    const ms = Math.round(performance.now() - started);
    detail.textContent = works ? detail.dataset.ok.replace("{ms}", ms) : detail.dataset.bad;
    socket.onclose = null;
    socket.close();
  }

  const patience = setTimeout(() => show(false), PATIENCE_MS);
  socket.onmessage = () => show(true);
  socket.onclose = () => show(false);
})();
