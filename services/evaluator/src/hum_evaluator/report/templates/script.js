"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  // Light or dark: what the system prefers, until the button is pressed.
  const theme = byId("theme");
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const paint = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    theme.textContent = dark ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(dark));
  };
  let chosen = false;
  paint(wish.matches);
  wish.addEventListener("change", () => chosen || paint(wish.matches));
  addEventListener("beforeprint", () => paint(false));
  addEventListener("afterprint", () => chosen || paint(wish.matches));
  theme.addEventListener("click", () => { chosen = true; paint(document.documentElement.dataset.theme !== "dark"); });

  // Tables: a click on a heading sorts by it, another one turns the order round.
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace("−", "-"));
    return { text, number: Number.isNaN(number) ? null : number };
  };
  const sort = (table, column, ascending, numeric) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, ...value(row, column) }));
    rows.sort((a, b) => {
      if (numeric && (a.number === null || b.number === null)) return (a.number === null) - (b.number === null) || a.place - b.place;
      const order = numeric ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
      return (ascending ? order : -order) || a.place - b.place;
    });
    body.append(...rows.map((one) => one.row));
    all("th", table).forEach((th, place) => {
      if (place === column) th.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    });
  };
  for (const table of all("table.sortable")) {
    all("th", table).forEach((th, column) => {
      const button = th.querySelector("button");
      if (!button) return;
      button.type = "button";
      button.addEventListener("click", () => {
        const numeric = th.classList.contains("n");
        const now = th.getAttribute("aria-sort");
        sort(table, column, now ? now === "descending" : !numeric, numeric);
      });
    });
  }

  // Filter of the comparison.
  const filter = byId("filter"), layer = byId("layer");
  if (filter) {
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = all("#runs tbody tr");
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(words.every((word) => text.includes(word)) && (!layer.value || row.dataset.layer === layer.value));
      }
      byId("shown").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
    };
    filter.addEventListener("input", apply);
    layer.addEventListener("change", apply);
    apply();
  }

  // Tabs: the arrow keys move between them.
  const tabs = all('[role="tab"]');
  const open = (tab, focus) => {
    for (const one of tabs) {
      const on = one === tab;
      one.setAttribute("aria-selected", String(on));
      one.tabIndex = on ? 0 : -1;
      byId(one.getAttribute("aria-controls")).hidden = !on;
    }
    all("audio").forEach((audio) => audio.pause());
    if (focus) tab.focus();
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => open(tab, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) { event.preventDefault(); open(tabs[(place + step + tabs.length) % tabs.length], true); }
    });
  });

  // Sounds: one at a time, with a line that runs through the picture. MP3 puts a little silence before the sound.
  const lead = 0.035;
  for (const audio of all("figure.item audio")) {
    const svg = audio.closest("figure").querySelector("svg");
    const cursor = svg && svg.querySelector(".cursor");
    const length = parseFloat(audio.dataset.length);
    const width = svg ? svg.viewBox.baseVal.width : 0;
    const follow = () => {
      if (!cursor) return;
      cursor.setAttribute("transform", `translate(${Math.min(1, Math.max(0, audio.currentTime - lead) / length) * width} 0)`);
      cursor.setAttribute("visibility", audio.currentTime > 0 || !audio.paused ? "visible" : "hidden");
      if (!audio.paused) requestAnimationFrame(follow);
    };
    audio.addEventListener("play", () => {
      all("audio").forEach((other) => other !== audio && other.pause());
      follow();
    });
    audio.addEventListener("seeked", follow);
    if (svg) svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      audio.currentTime = ((event.clientX - box.left) / box.width) * length + lead;
      audio.paused ? audio.play() : follow();
    });
  }
})();
