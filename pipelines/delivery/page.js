"use strict";
// The list of a day. What a company wrote enters as data and leaves as text: every node is made by hand, none from markup.
const [RANK, OWN, TIER, ID, NAME, COMPANY, OWNER, P, VALUE, CHANGE, LISTED, RANDOM, WHY, PAST, OUT, HAND, GRADE, QUALIFIED, STEP, NEW, SOURCE, TERRITORY, DIARY] = Array(23).keys();
const COLUMNS = {rank: RANK, lead: NAME, owner: OWNER, p: P, change: CHANGE, value: VALUE};
const STARTS_WITH_THE_MOST = [P, CHANGE, VALUE];
const SIZE = 50;
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const {who, those, one, noun} = data.said;
let sort = RANK, down = false, at = 0, shown = [];

function el(tag, cls, ...children) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  made.append(...children);
  return made;
}

const number = n => n.toLocaleString("en");
const percent = p => (100 * p).toFixed(p < 0.1 ? 1 : 0) + " %";
const counted = (n, word) => number(n) + " " + word + (n === 1 ? "" : "s");
const label = lead => lead[NAME] || lead[ID];

/* Which leads, in which order */

const LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"};
// José is found by jose, Straße by STRASSE.
const folded = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase().replace(/[øłđıæœ]/g, sign => LETTERS[sign]);
const searched = new Map();

function text(lead) {
  if (!searched.has(lead)) searched.set(lead, folded(lead[NAME] + "\n" + lead[COMPANY] + "\n" + lead[ID]));
  return searched.get(lead);
}

// What was typed as it stands; where nobody is called that, all of its words in any order.
function finds(find) {
  if (data.leads.some(lead => text(lead).includes(find))) return lead => text(lead).includes(find);
  const words = find.split(/\s+/);
  return lead => words.every(word => text(lead).includes(word));
}

const CHOICES = ["owner", "tier", "source", "territory"];
const SHOWS = {"": () => true, listed: lead => lead[LISTED], out: lead => lead[OUT], qualified: lead => lead[QUALIFIED], new: lead => lead[NEW]};
const value = id => $(id) ? $(id).value : "";
// What the selects and the field for a name say; some of it may be left aside.
const wanted = (...aside) => ({...Object.fromEntries(CHOICES.map(id => [id, aside.includes(id) ? "" : value(id)])), find: folded($("find").value.trim())});

function matching({owner, tier, source, territory, find}) {
  const found = finds(find), shows = SHOWS[tier] || (lead => lead[TIER] === tier);
  const is = (at, chosen) => lead => chosen === "" || lead[at] === +chosen;
  const every = [is(OWNER, owner), is(SOURCE, source), is(TERRITORY, territory), shows, found];
  return data.leads.filter(lead => every.every(fits => fits(lead)));
}

const alphabet = new Intl.Collator("en", {numeric: true, sensitivity: "base"});

function inOrder(leads) {
  const way = down ? -1 : 1;
  const apart = sort === NAME
    ? (a, b) => way * alphabet.compare(label(a), label(b))
    // What is missing comes last, whichever way.
    : (a, b) => a[sort] === null || b[sort] === null ? (a[sort] === null) - (b[sort] === null) : way * (a[sort] - b[sort]);
  return leads.sort((a, b) => apart(a, b) || a[RANK] - b[RANK]);
}

function choose() {
  shown = inOrder(matching(wanted()));
  at = 0;
  drawHead();
  draw();
}

/* Above the list: whose it is, the numbers, the team */

const chosen = () => $("owner").value === "" ? null : data.owners[$("owner").value];
const said = owner => owner.name || "nobody";

// The names of the source and the territory that were chosen, as the reader sees them.
const narrowed = () => ["source", "territory"].filter(id => value(id) !== "").map(id => $(id).selectedOptions[0].text).join(", ");

const span = of => of.low === of.high ? number(of.low) : number(of.low) + " to " + number(of.high);

function fact(value, words) {
  return el("li", "", el("b", "", value), el("span", "", words));
}

const rounded = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 3});
const sum = amount => rounded.format(amount) + (data.currency ? " " + data.currency : "");
const about = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 2});
const spread = of => of.amount_low === of.amount_high ? about.format(of.amount_low) : about.format(of.amount_low) + " to " + about.format(of.amount_high);
const quota = of => data.count === "wins" ? number(of.quota) : sum(of.quota);

// What the calls are expected to bring, and what is to be reached.
function money(of) {
  const known = [];
  if (of.amount !== undefined) known.push(fact(sum(of.amount), "expected of these calls, " + spread(of) + " in 8 of 10 cases"));
  if (of.quota !== null) known.push(fact(quota(of), "quota for the same time"));
  return known;
}

function drawHead() {
  const owner = chosen(), of = owner || data.everybody, tier = $("tier").value, find = $("find").value.trim();
  $("facts").replaceChildren(
    fact(number(of.calls), (of.calls === 1 ? who : who + "s") + " to call today"),
    fact(of.expected.toFixed(1), noun + " expected among the " + (of.calls === 1 ? who : who + "s") + " listed for today, " + span(of) + " in 8 of 10 cases"),
    ...money(of),
    fact(number(of.open), (of.open === 1 ? one : those) + " scored"),
    fact((100 * of.rate).toFixed(1) + " %", "average probability of all " + (owner ? "of these" : "of them")));
  const what = {listed: "calls today", "": "all " + those, out: "left out today", qualified: "qualified", new: "new among today's calls"}[tier] || "tier " + tier;
  const from = narrowed();
  $("whose").replaceChildren(el("bdi", "", owner ? said(owner) : "Everybody"), ": " + what + (from ? ", " + from : "") + (find ? ", “" + find + "”" : ""));
  $("count").textContent = counted(shown.length, who);
  $("team").hidden = Boolean(owner || from || find || tier !== "listed" || data.owners.length < 2);
  $("list").classList.toggle("one", Boolean(owner));
}

function drawTeam() {
  const rows = data.owners.map((owner, at) => [owner, at]).sort(([a], [b]) => b.expected - a.expected || b.calls - a.calls);
  const most = rows[0][0].expected;
  $("owners").replaceChildren(...rows.map(([owner, at]) => {
    const button = el("button", "link", said(owner));
    button.onclick = () => { $("owner").value = at; toAddress(); };
    const best = data.leads[owner.best];
    return el("tr", "",
      el("td", "", button, ...(data.teams.length && owner.team ? [" ", el("span", "company", owner.team)] : [])), ...expected(owner),
      el("td", "bars", meter(owner.expected / (most || 1))),
      el("td", "best", ...(best ? [label(best), " ", el("span", "company", best[COMPANY]), " ", el("span", "grey", percent(best[P]))] : ["–"])));
  }));
  $("teams").replaceChildren(...data.teams.map(team =>
    el("tr", "", el("th", "", team.name), ...expected(team), el("td", "bars"), el("td", "best"))));
  for (const [cls, there] of [["amounts", data.everybody.amount !== undefined], ["quotas", data.everybody.quota !== null]])
    $("team").classList.toggle("no-" + cls, !there);
  $("whole").textContent = "Show all " + data.owners.length + " owners";
  $("whole").hidden = data.owners.length <= 5;
  $("whole").onclick = () => { $("team").classList.add("whole"); $("whole").hidden = true; };
}

// Calls, expected wins, expected amount and quota of an owner or a team: what a manager puts side by side.
function expected(of) {
  const amount = of.amount === undefined ? ["–"] : [sum(of.amount), " ", el("span", "grey", "(" + spread(of) + ")")];
  return [
    el("td", "n", number(of.calls), ...(of.room === undefined ? [] : [" ", el("span", "grey", "of " + number(of.room))])),
    el("td", "n", of.expected.toFixed(1), " ", el("span", "grey", "(" + span(of) + ")")),
    el("td", "n amounts", ...amount),
    el("td", "n quotas", of.quota === null ? "–" : quota(of))];
}

/* The rows */

function reason([at, strength]) {
  const words = data.words[at], usual = words.endsWith("as the average)") ? words.lastIndexOf(" (") : words.endsWith(")") ? words.lastIndexOf(" (usual: ") : -1;
  const item = el("li", strength > 0 ? "for" : "against");
  item.append(...(usual < 0 ? [words] : [words.slice(0, usual), el("span", "usual", words.slice(usual))]));
  return item;
}

function reasons(lead, mostFor, mostAgainst) {
  const some = lead[WHY].filter(([, strength]) => strength > 0), others = lead[WHY].filter(([, strength]) => strength <= 0);
  return el("div", "reasons", el("ul", "", ...some.slice(0, mostFor).map(reason)), el("ul", "", ...others.slice(0, mostAgainst).map(reason)));
}

function change(points) {
  if (points === null) return el("span", "grey", "new");
  if (Math.abs(points) < 0.0005) return el("span", "grey", "same");
  return el("span", points > 0 ? "up" : "down", (points > 0 ? "+" : "−") + (100 * Math.abs(points)).toFixed(1) + " pts");
}

function meter(p) {
  const fill = el("i");
  fill.style.width = 100 * p + "%";
  return el("div", "meter", fill);
}

function cell(cls, head, ...children) {
  const made = el("td", cls, ...children);
  if (head) made.dataset.label = head;
  return made;
}

function rowOf(lead) {
  const button = el("button", "link", label(lead));
  button.setAttribute("aria-expanded", "false");
  const marks = [...(lead[NEW] ? ["new today"] : []), ...(lead[RANDOM] ? ["random pick"] : []), ...(lead[HAND] ? ["by hand"] : []), ...(lead[OUT] ? ["left out"] : [])];
  const who = cell("lead", "", button, ...marks.flatMap(mark => [" ", el("span", "pick", mark)]), el("div", "company", lead[COMPANY]));
  if (lead[RANDOM]) [...who.querySelectorAll(".pick")].find(mark => mark.textContent === "random pick").title = "Added at random, whatever its score, to measure what scoring brings.";
  const rank = cell("rank", "", number(chosen() ? lead[OWN] : lead[RANK]), " ", el("span", "tier " + lead[TIER], lead[TIER]));
  const row = el("tr", "lead",
    rank, who,
    cell("owner", "", said(data.owners[lead[OWNER]])),
    cell("p", "", el("b", "", percent(lead[P])), meter(lead[P])),
    cell("change n", "Change", change(lead[CHANGE])),
    cell("value n", lead[VALUE] === null ? "" : "Value", lead[VALUE] === null ? "" : number(lead[VALUE]) + " " + data.currency),
    cell("why", "", reasons(lead, 2, 1)));
  row.onclick = () => { if (!String(getSelection())) toggle(lead, row, button); };
  return row;
}

function draw(size = SIZE) {
  const part = shown.slice(at, at + size);
  $("rows").replaceChildren(...(part.length ? part.map(rowOf) : [nobody()]));
  $("pages").hidden = shown.length <= size;
  $("at").textContent = number(at + 1) + " to " + number(Math.min(at + size, shown.length)) + " of " + number(shown.length);
  $("back").disabled = at === 0;
  $("next").disabled = at + size >= shown.length;
}

/* Nothing found: where it would be, and a button that goes there */

function nobody() {
  const owner = chosen(), {tier} = wanted(), from = narrowed();
  const of = (owner === null ? "" : owner.name ? " of " + owner.name : " without an owner") + (from ? ` (${from})` : "");
  const mine = matching(wanted("tier")).length, all = matching(wanted(...CHOICES)).length;
  const words = el("td");
  words.colSpan = 7;
  if (tier !== "" && mine) {
    const among = {listed: "today's calls", out: "those left out", qualified: "those qualified", new: "those new today"}[tier] || "tier " + tier;
    words.append(`None among ${among}${of}; ${number(mine)} among all ${those}${of}.`, show(mine, ["tier"]));
  } else if ((owner || from) && all) {
    words.append(`None among the ${those}${of}; ${number(all)} among everybody's.`, show(all, CHOICES));
  } else {
    words.append(`No ${who} matches.`);
  }
  return el("tr", "none", words);
}

function show(n, aside) {
  const button = el("button", "", n === 1 ? "Show it" : "Show them");
  button.onclick = () => {
    for (const id of aside) if ($(id)) $(id).value = "";
    toAddress();
    $("find").focus();
  };
  return button;
}

/* An opened lead: all its reasons in its row, and below it where it came from */

function toggle(lead, row, button) {
  const open = !row.classList.contains("open");
  row.classList.toggle("open", open);
  row.cells[6].replaceChildren(open ? reasons(lead) : reasons(lead, 2, 1));
  button.setAttribute("aria-expanded", String(open));
  if (open) row.after(more(lead)); else row.nextElementSibling.remove();
}

function more(lead) {
  const about = el("dl", "about"), owner = data.owners[lead[OWNER]];
  const known = [["Left out", lead[OUT]], ["By hand", lead[HAND]], ["Source", data.sources[lead[SOURCE]]], ["Territory", data.territories[lead[TERRITORY]]],
    ["Grade", lead[GRADE] + (lead[QUALIFIED] ? "; qualified" : "")], ["What would change it", lead[STEP]]];
  const tier = lead[RANDOM] ? "random pick: added whatever its score" : lead[LISTED] ? "A: call today" : lead[TIER];
  const place = `${number(lead[OWN])} of ${number(owner.open)} ` + (owner.name ? "of " + owner.name : "without an owner");
  for (const [what, value] of [["Lead", lead[ID]], ["Tier", tier], ["Place", `${place}, ${number(lead[RANK])} of ${number(data.everybody.open)} in all`], ...known.filter(([, value]) => value)])
    about.append(el("dt", "", what), el("dd", "", value));
  const past = lead[PAST].map(([day, p]) => [data.days[day], p]);
  const history = past.length > 1 ? chart(past) : el("div", "", "Scored for the first time.");
  const happened = lead[DIARY].length ? [el("div", "", el("h3", "", "What happened"), el("ol", "diary", ...lead[DIARY].map(event)))] : [];
  const words = el("td", "", el("div", "cols", el("div", "", el("h3", "", "Past scores"), history), about, ...happened));
  words.colSpan = 7;
  return el("tr", "more", words);
}

function event([day, what, times]) {
  return el("li", "", el("span", "day", data.days[day]), " ", data.words[what] + (times > 1 ? ` (${number(times)} times)` : ""));
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function chart(past) {
  const wide = 220, high = 48, edge = 6, scores = past.map(([, p]) => p), least = Math.min(...scores), span = Math.max(...scores) - least;
  const x = at => edge + at * (wide - 2 * edge) / (past.length - 1);
  const y = p => span ? high - edge - (high - 2 * edge) * (p - least) / span : high / 2;
  const line = svg("svg", {viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": "Past scores: " + past.map(([day, p]) => day + " " + percent(p)).join(", ")});
  line.append(svg("polyline", {points: scores.map((p, at) => x(at).toFixed(1) + "," + y(p).toFixed(1)).join(" ")}));
  for (const at of [0, past.length - 1]) line.append(svg("circle", {cx: x(at), cy: y(scores[at]), r: 3.5}));
  const end = ([day, p]) => el("div", "", el("b", "", percent(p)), el("small", "", day));
  return el("div", "past", end(past[0]), line, end(past[past.length - 1]));
}

/* The hand of the reader, the address, the printer */

function sortBy(column, way) {
  sort = column;
  down = way;
  for (const button of document.querySelectorAll("#list th button")) {
    const mine = COLUMNS[button.dataset.sort] === sort;
    if (mine) button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending"); else button.parentElement.removeAttribute("aria-sort");
    if (mine) $("sort").value = button.dataset.sort;
  }
  choose();
}

const starts = column => STARTS_WITH_THE_MOST.includes(column);

// The owner stays in the address, so that a bookmark opens one's own list and Back leads back to everybody's.
function toAddress() {
  const owner = chosen();
  location.hash = owner ? "owner=" + encodeURIComponent(owner.name) : "";
  choose();
}

function fromAddress() {
  const name = new URLSearchParams(location.hash.slice(1)).get("owner");
  const found = data.owners.findIndex(owner => owner.name === name), value = found < 0 ? "" : String(found);
  if (value === $("owner").value) return;
  $("owner").value = value;
  choose();
}

function turn(to) {
  at = to;
  draw();
  $("title").scrollIntoView();
}

for (const button of document.querySelectorAll("#list th button")) {
  const column = COLUMNS[button.dataset.sort];
  button.onclick = () => sortBy(column, column === sort ? !down : starts(column));
}
$("sort").onchange = () => sortBy(COLUMNS[$("sort").value], starts(COLUMNS[$("sort").value]));
$("owner").onchange = toAddress;
for (const id of ["tier", "source", "territory"]) if ($(id)) $(id).onchange = choose;
$("find").oninput = choose;
$("back").onclick = () => turn(at - SIZE);
$("next").onclick = () => turn(at + SIZE);
addEventListener("hashchange", fromAddress);
// On paper there is no next page to click on.
addEventListener("beforeprint", () => { const was = at; at = 0; draw(shown.length || SIZE); at = was; });
addEventListener("afterprint", () => draw());

drawTeam();
sortBy(RANK, false);
fromAddress();
