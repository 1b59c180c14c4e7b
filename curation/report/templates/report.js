"use strict";
// Sort the table of languages by a click on a heading, filter it, and show pictures. Without this script the complete
// table is shown.
(function () {
  var table = document.getElementById("languages");
  var filter = document.getElementById("filter");
  var found = document.getElementById("found");
  var body = table.tBodies[0];
  var heads = Array.from(table.tHead.rows[0].cells);
  var collator = new Intl.Collator("en");

  function value(row, column) {
    var cell = row.cells[column];
    if (column === 0) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // rows without a number stay below
    return sign * (typeof a === "string" ? collator.compare(a, b) : a - b);
  }

  function sort(column) {
    var before = heads[column].getAttribute("aria-sort");
    var ascending = before === null ? column === 0 : before === "descending";
    heads.forEach(function (head) { head.removeAttribute("aria-sort"); });
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    var rows = Array.from(body.rows);
    rows.sort(function (a, b) { return compare(value(a, column), value(b, column), ascending ? 1 : -1); });
    body.append.apply(body, rows);
  }

  function show() {
    var wanted = filter.value.trim().toLowerCase();
    var rows = Array.from(body.rows);
    rows.forEach(function (row) { row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted); });
    var left = rows.filter(function (row) { return !row.hidden; }).length;
    found.textContent = left + " of " + rows.length + " shown";
  }

  heads.forEach(function (head, column) {
    head.querySelector("button").addEventListener("click", function () { sort(column); });
  });
  filter.addEventListener("input", show);
  document.getElementById("tools").hidden = false; // nothing in it works without this script
  show();

  // Pictures of rows: nothing is requested before a click, and then without referrer, as far as a reader scrolls.
  function picture(address) {
    var box = document.createElement("div");
    var image = document.createElement("img");
    box.className = "picture";
    image.loading = "lazy";
    image.referrerPolicy = "no-referrer";
    image.alt = "";
    image.addEventListener("error", function () { image.remove(); }); // the grey box stays
    image.src = address;
    box.append(image);
    return box;
  }

  var groups = new Map();
  document.querySelectorAll("article [data-image]").forEach(function (row) {
    var group = row.closest("article").parentNode;
    groups.set(group, (groups.get(group) || []).concat(row));
  });
  groups.forEach(function (rows, group) {
    var button = document.createElement("button");
    button.className = "pictures";
    button.textContent = "Show pictures";
    group.insertBefore(button, rows[0].closest("article"));
    button.addEventListener("click", function () {
      rows.forEach(function (row) { row.closest("article").prepend(picture(row.dataset.image)); });
      button.remove();
    });
  });
})();
