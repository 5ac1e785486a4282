// Sorts a table by the column whose head is pressed: numbers from the highest, words from A. Without it a table is as it was written.
function values(rows, at, numeric) {
  return rows.map((row) => {
    const text = row.cells[at].textContent.trim();
    return [numeric ? Number.parseFloat(text.replaceAll(",", "")) : text, row];
  });
}

function absent(value) {
  return Number(Number.isNaN(value) || value === "" || value === "–"); // these come last, whichever way
}

function sort(table, head) {
  const numeric = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  const down = numeric ? before !== "descending" : before === "ascending";
  const rows = values([...table.tBodies[0].rows], head.cellIndex, numeric);
  const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
  rows.sort(([a], [b]) => absent(a) - absent(b) || (absent(a) ? 0 : (down ? -1 : 1) * compare(a, b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table")) {
  for (const head of table.tHead.querySelectorAll("th:not(.plain)")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head));
  }
}
