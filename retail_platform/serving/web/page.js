// Filters, tiles, table and charts of one report page, from the JSON that the page carries.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page").textContent);
  const named = (data) => data.rows.map((values) =>
    Object.fromEntries(data.columns.map((name, i) => [name, values[i]])));
  const rows = named(page.data);
  const headline = named(page.headline);
  const hour = Date.parse(page.hour);
  const DAY = 24 * 3600 * 1000;
  const chosen = {};

  // Money has four places: adding whole ten-thousandths keeps sums exact.
  const total = (part, name) =>
    part.reduce((sum, row) => sum + Math.round((row[name] ?? 0) * 10000), 0) / 10000;

  function measure(value, part) {
    if (value.sum) return total(part, value.sum);
    if (value.count) return part.length;
    if (value.greatest || value.mean) {
      const known = part.map((row) => row[value.greatest || value.mean])
        .filter((one) => one !== null && one !== undefined);
      if (!known.length) return null;
      return value.greatest ? Math.max(...known)
        : known.reduce((sum, one) => sum + one, 0) / known.length;
    }
    const [above, below] = (value.ratio || value.change).map((name) => total(part, name));
    if (!below) return null;
    return value.ratio ? above / below : above / below - 1;
  }

  function written(value, number) {
    if (number === null || number === undefined) return "–";
    if (typeof number !== "number") return String(number);
    if (value.format === "percent") {
      const sign = value.change && number > 0 ? "+" : "";
      return sign + (100 * number).toLocaleString("en", { maximumFractionDigits: 1 }) + " %";
    }
    if (value.format === "time") {
      return new Date(number).toISOString().slice(0, 16).replace("T", " ");
    }
    const places = value.format === "money" ? 2 : value.format === "decimal" ? 1 : 0;
    return number.toLocaleString("en", {
      minimumFractionDigits: places, maximumFractionDigits: places });
  }

  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }

  function selected(of) {
    return of.filter((row) =>
      page.filters.every((filter) => {
        const value = chosen[filter.column];
        if (of === headline && (row[filter.column] ?? null) === null) return true;
        if (filter.days) return !value || row[filter.column] > hour - value * DAY;
        return value === "" || String(row[filter.column]) === value;
      }));
  }

  function addFilters() {
    const bar = document.getElementById("filters");
    for (const filter of page.filters) {
      const label = element("label", filter.label + " ");
      const select = element("select");
      select.id = "filter-" + filter.column;
      const options = filter.days
        ? filter.days.map(([days, name]) => [String(days), name])
        : [...new Set(rows.map((row) => String(row[filter.column])))].sort(
            (a, b) => a.localeCompare(b)).map((one) => [one, one]);
      if (filter.all) options.unshift(["", filter.all]);
      for (const [value, name] of options) {
        const option = element("option", name);
        option.value = value;
        select.append(option);
      }
      if (filter.start !== undefined && options.some(([value]) => value === filter.start)) {
        select.value = filter.start;
      }
      const take = () => {
        chosen[filter.column] = filter.days ? Number(select.value) : select.value;
      };
      select.addEventListener("change", () => { take(); show(); });
      take();
      label.append(select);
      bar.append(label);
    }
  }

  function showTiles(part) {
    const place = document.getElementById("tiles");
    const above = selected(headline);
    place.replaceChildren(...page.tiles.map((tile) => {
      const box = element("div", undefined, "tile");
      const [name] = [tile.sum || tile.greatest || tile.mean || tile.ratio || tile.change].flat();
      const from = page.headline.columns.includes(name) ? above : part;
      box.append(element("span", tile.label), element("b", written(tile, measure(tile, from))));
      return box;
    }));
  }

  function tableRows(part) {
    const table = page.table;
    if (!table.group) {
      return part.map((row) => table.values.map((value) => row[value.column] ?? null));
    }
    const groups = new Map();
    for (const row of part) {
      const key = JSON.stringify(table.group.map((name) => row[name]));
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    return [...groups].map(([key, members]) =>
      [...JSON.parse(key), ...table.values.map((value) => measure(value, members))]);
  }

  function showTable(part) {
    const table = page.table;
    const names = table.group ? table.group.map((label) => ({ label })) : [];
    const heads = [...names, ...table.values];
    const lines = tableRows(part);
    const by = heads.findIndex((head) => head.label === table.sort);
    lines.sort((a, b) => (b[by] ?? -Infinity) - (a[by] ?? -Infinity)
      || String(a[0]).localeCompare(String(b[0])));
    const head = element("tr");
    for (const one of heads) head.append(element("th", one.label, one.format ? "n" : ""));
    const body = lines.slice(0, table.limit).map((line) => {
      const row = element("tr");
      line.forEach((value, i) =>
        row.append(element("td", written(heads[i], value), heads[i].format ? "n" : "")));
      return row;
    });
    document.querySelector("#table thead").replaceChildren(head);
    document.querySelector("#table tbody").replaceChildren(...body);
    document.getElementById("counted").textContent = lines.length > table.limit
      ? `${table.limit} of ${lines.length} rows` : `${lines.length} rows`;
  }

  async function showCharts(part) {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    for (const [number, chart] of page.charts.entries()) {
      const spec = { ...chart.spec, datasets: { rows: part }, background: "transparent" };
      await vegaEmbed("#chart-" + number, spec, {
        actions: false, renderer: "svg", theme: dark ? "dark" : undefined });
    }
  }

  async function show() {
    const part = selected(rows);
    showTiles(part);
    showTable(part);
    await showCharts(part);
    document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
  }

  addFilters();
  show();
})();
