// Regions that follow a view: when the view changes, the page's own part is fetched again and morphed in place, and rows that are
// new or differ are marked for a moment. Nothing is re-ordered under the pointer beyond what the sort order asks for.
(() => {
  "use strict";
  const MARK_MS = 4000;
  let framesSeen = 0;
  let busy = false;
  let stale = false;

  function seen() {
    return new Map([...document.querySelectorAll("tr[data-seen]")].map((row) => [row.id, row.dataset.seen]));
  }

  function mark(before) {
    for (const row of document.querySelectorAll("tr[data-seen]")) {
      if (before.get(row.id) === row.dataset.seen) continue;
      row.classList.add("fresh");
      setTimeout(() => row.classList.remove("fresh"), MARK_MS);
    }
  }

  // frames are gathered by the server already: fetch at once, and once more for what came meanwhile
  async function refresh() {
    stale = true;
    if (busy) return;
    busy = true;
    try {
      while (stale) {
        stale = false;
        const before = seen();
        await window.fustorLive.refresh();
        mark(before);
      }
    } finally {
      busy = false;
    }
  }

  document.addEventListener("fustor:frame", (event) => {
    if (event.detail.polled) return;
    // the first frame says what the page shows already
    if (framesSeen++ > 0) refresh();
  });
})();
