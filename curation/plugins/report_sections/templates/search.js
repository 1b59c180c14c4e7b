"use strict";
// Search the entries of the report: show those that contain what is typed, the best ones first.
(function () {
  var MAX_SHOWN = 50;
  var data = JSON.parse(document.getElementById("search-data").textContent);
  var word = document.getElementById("word");
  var found = document.getElementById("hits-found");
  var list = document.getElementById("hits");
  var keys = data.entries.map(function (entry) { return folded(entry[0]); });

  // Return a text as `normalise` of metadata/rules.py does, in capitals, with one space between words.
  function folded(text) {
    var mapped = text.replace(/[™℠]/g, " ").replace(/[\u2018\u2019\u02bc\u00b4]/g, "'").normalize("NFKC");
    return mapped.replace(/[\u2018\u2019\u02bc]/g, "'").toUpperCase().replace(/\s+/g, " ").trim();
  }

  // Return 0 for the entry itself, 1 for its beginning, 2 for the beginning of a word in it, 3 for another part, else 4.
  function rank(key, wanted) {
    if (key === wanted) return 0;
    if (key.startsWith(wanted)) return 1;
    if (key.includes(" " + wanted)) return 2;
    return key.includes(wanted) ? 3 : 4;
  }

  function hits(wanted) {
    var ranked = keys.map(function (key, number) { return [rank(key, wanted), -data.entries[number][2], number]; });
    ranked = ranked.filter(function (hit) { return hit[0] < 4; });
    ranked.sort(function (a, b) { return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]; });
    return ranked.map(function (hit) { return data.entries[hit[2]]; });
  }

  function element(name, text, code) {
    var made = document.createElement(name);
    made.textContent = text;
    if (code) {
      made.lang = code.replace(/_/g, "-");
      made.dir = "auto";
    }
    return made;
  }

  function counted(value) { return value.toLocaleString("en"); }

  function item(entry) {
    var language = data.languages[entry[1]];
    var count = entry[2];
    var t = language[2];
    var made = document.createElement("li");
    var line = document.createElement("p");
    var name = element("bdi", entry[0], language[0]);
    name.className = count <= t ? "tail" : "head";
    var figures = [
      language[1],
      "in " + counted(count) + (count === 1 ? " text, " : " texts, ") + counted(entry[3]) + " of them kept",
      "rate " + Number(Math.min(1, t / count).toPrecision(3)) + " (t = " + counted(t) + ")",
    ];
    line.append(name, " ", element("small", figures.join(" · ")));
    made.append(line);
    entry[4].forEach(function (number) { made.append(element("p", data.texts[number], language[0])); });
    if (!entry[4].length) made.append(element("small", "None of the rows in which texts were looked for has this entry."));
    return made;
  }

  function show() {
    var wanted = folded(word.value);
    var all = wanted ? hits(wanted) : [];
    list.replaceChildren.apply(list, all.slice(0, MAX_SHOWN).map(item));
    found.textContent = wanted ? summary(all.length) : "";
  }

  function summary(number) {
    if (!number) return "None of the " + counted(keys.length) + " entries of this page contains it.";
    var first = number > MAX_SHOWN ? "; the first " + MAX_SHOWN + " are shown" : "";
    return counted(number) + " of " + counted(keys.length) + " entries" + first;
  }

  word.addEventListener("input", show);
  document.getElementById("search-tools").hidden = false; // The search does not work without this script.
  show(); // Browsers restore the typed word when the page is loaded again.
})();
