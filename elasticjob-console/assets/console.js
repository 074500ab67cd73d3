// Keeps the page true: replaces elements by what the stream of the server sends. Without it everything works, by reloading.

const body = document.body;
const base = body.dataset.base;
const policy = window.trustedTypes?.createPolicy('ej-fragment', { createHTML: text => text });
const allowed = new Set(('A B BDI BUTTON CIRCLE CODE DETAILS DIV FORM G H1 H2 H3 INPUT LABEL LI NAV OL P PATH PRE RECT SECTION SMALL SPAN ' +
  'SUMMARY SVG TABLE TBODY TD TEXT TH THEAD TIME TITLE TR UL').split(' '));

// The one place where a text becomes elements: what the server of this page rendered and escaped.
function parse(html) {
  const template = document.createElement('template');
  template.innerHTML = policy ? policy.createHTML(html) : html;
  for (const element of template.content.querySelectorAll('*')) {
    if (!allowed.has(element.tagName.toUpperCase())) throw new Error('unexpected element ' + element.tagName);
  }
  return template.content.firstElementChild;
}

// Makes `to` of `from` in place, so that focus, selection, typed text and what is open stay.
function morph(from, to) {
  if (from.nodeName !== to.nodeName) return from.replaceWith(to);
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.isEqualNode(to)) return;
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(name === 'open' && from.nodeName === 'DETAILS')) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  const rest = [...to.childNodes];
  for (const child of [...from.childNodes]) {
    const next = rest.shift();
    if (next) morph(child, next); else child.remove();
  }
  from.append(...rest);
}

const waiting = new Map();

function take(news) {
  for (const [id, html] of news.elements) {
    const fresh = parse(html);
    const old = document.getElementById(id);
    if (old) morph(old, fresh); else waiting.set(id, fresh);
  }
  for (const [list, ids] of Object.entries(news.lists)) arrange(document.getElementById(list), ids);
  document.title = news.title + ' · ElasticJob';
  count();
}

// Orders a list. Rows stay where they are while one of them is in use.
function arrange(list, ids) {
  if (!list) return;
  const wanted = new Set(ids);
  for (const row of [...list.children]) if (!wanted.has(row.id)) row.remove();
  const busy = list.matches(':hover') || list.contains(document.activeElement);
  let place = list.firstElementChild;
  for (const id of ids) {
    const row = document.getElementById(id) ?? waiting.get(id);
    waiting.delete(id);
    if (!row) continue;
    if (!row.isConnected || (!busy && row !== place)) list.insertBefore(row, place);
    place = row.nextElementSibling;
  }
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) {
    const minutes = Math.floor(seconds / 60) % 60;
    return `${Math.floor(seconds / 3600)} h` + (minutes ? ` ${minutes} min` : '');
  }
  return `${Math.floor(seconds / 86400)} d`;
}

// Counts times to come and past.
function count() {
  if (paused) return;
  const now = Date.now();
  for (const time of document.querySelectorAll('time.counts')) {
    const away = Math.round((Date.parse(time.dateTime) - now) / 1000);
    const text = away >= 0 ? body.dataset.in.replace('%', span(away)) : body.dataset.ago.replace('%', span(-away));
    if (time.textContent !== text) time.textContent = text;
  }
  for (const age of document.querySelectorAll('time.age')) {
    const seconds = Math.max(0, Math.round((now - lastHeard) / 1000));
    const text = seconds > 2 ? span(seconds) : '';
    if (age.textContent !== text) age.textContent = text;
  }
}

let source = null;
let pause = 1000;
let paused = false;
let hiding = 0;
let lastHeard = Date.now();

function open() {
  if (source || paused || document.hidden) return;
  const query = new URLSearchParams({ view: body.dataset.address, after: body.dataset.after });
  source = new EventSource(`${base}/live?${query}`);
  source.onopen = () => { lastHeard = Date.now(); pause = 1000; state(true); };
  source.onmessage = event => {
    lastHeard = Date.now();
    const news = JSON.parse(event.data);
    body.dataset.after = news.after;
    take(news);
    state(true);
  };
  // The stream is opened by us, with what the page knows by then: a browser would ask for the address of the first time.
  source.onerror = () => {
    close();
    state(false);
    setTimeout(reopen, pause + Math.random() * pause);
    pause = Math.min(pause * 2, 60000);
  };
}

// A stream does not say why it ended. A visitor whose session has ended is led to the login, and from there back to this page.
async function reopen() {
  const answer = await fetch(`${base}/session`).catch(() => null);
  if (answer?.status === 401) location.reload(); else open();
}

function close() {
  source?.close();
  source = null;
}

function state(live) {
  document.documentElement.classList.toggle('not-live', !live);
  for (const link of document.querySelectorAll('.reload')) link.hidden = live;
}

// What is read from a database is asked for again, as often as it says.
let again = 0;
async function askAgain() {
  const part = document.querySelector('[data-again]');
  if (!part || paused || document.hidden || Date.now() < again) return;
  const seconds = Number(part.dataset.again);
  if (!seconds) return;
  again = Date.now() + seconds * 1000;
  try {
    const answer = await fetch(location.href, { headers: { 'x-part': '1' } });
    if (answer.ok && !part.contains(document.activeElement)) morph(part, parse(await answer.text()));
  } catch { /* The stream says that the server is away. */ }
}

// Browsers give a server six connections: a tab that is not seen gives its one away.
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(close, 3000); else open();
});

const pauseButton = document.getElementById('pause');
pauseButton.hidden = false;
pauseButton.addEventListener('click', () => {
  paused = !paused;
  pauseButton.textContent = paused ? body.dataset.resume : body.dataset.pause;
  pauseButton.setAttribute('aria-pressed', String(paused));
  if (paused) close(); else open();
});

const themeButton = document.getElementById('theme');
const root = document.documentElement;
themeButton.hidden = false;
const kept = key => { try { return localStorage.getItem(key); } catch { return null; } };
const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* it is for this page alone */ } };
if (kept('ej-theme')) root.dataset.theme = kept('ej-theme');
themeButton.addEventListener('click', () => {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  keep('ej-theme', root.dataset.theme);
});

for (const choice of document.querySelectorAll('[data-choose-theme]')) {
  choice.hidden = false;
  choice.addEventListener('click', () => {
    const theme = choice.dataset.chooseTheme;
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
    keep('ej-theme', theme);
  });
}

document.addEventListener('keydown', event => {
  const typing = event.target.closest('input, textarea, select');
  if (event.key === 'Escape') {
    for (const open of document.querySelectorAll('details.action[open]')) { open.open = false; open.querySelector('summary').focus(); }
  }
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.querySelector('.search input').focus();
  }
});

// One dialogue at a time, and the first field has the focus.
document.addEventListener('toggle', event => {
  if (!event.target.matches('details.action') || !event.target.open) return;
  for (const other of document.querySelectorAll('details.action[open]')) if (other !== event.target) other.open = false;
  event.target.querySelector('input')?.focus();
}, true);

// What came of an action is said once.
const address = new URL(location.href);
if (address.searchParams.has('done') || address.searchParams.has('failed')) {
  address.searchParams.delete('done');
  address.searchParams.delete('failed');
  history.replaceState(null, '', address);
}

setInterval(() => { count(); askAgain(); }, 1000);
count();
open();
