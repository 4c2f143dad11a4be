// Sign-in with a bearer token. The server keeps it in a cookie that no script can read; this page forgets it.
'use strict';

const find = (id) => document.getElementById(id);
const warnBefore = 5 * 60 * 1000; // ms before a session's end
let timer;

function say(text, isError) {
  const line = find('message');
  line.textContent = text;
  line.className = isError ? 'error' : 'dim';
}

// ask sends a request, and throws what the server's Status says.
async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  });
  const json = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) {
    const error = new Error(json.message);
    error.code = answer.status;
    throw error;
  }
  return json;
}

function show(session) {
  clearTimeout(timer);
  find('sign-in').hidden = session !== null;
  find('signed-in').hidden = session === null;
  if (session === null) {
    return;
  }
  const groups = session.user.groups || [];
  find('user').textContent = session.user.username;
  find('groups').textContent = groups.join(', ');
  find('sign-out').hidden = session.means !== 'cookie';
  find('stay').hidden = true;
  if (!session.expires) {
    find('until').textContent = '';
    return;
  }
  const time = (at) => new Date(at).toLocaleString();
  find('until').textContent = session.renewable
    ? `until ${time(session.expires)} if it is not used, ${time(session.ends)} at the latest`
    : `until ${time(session.expires)}`;
  const left = new Date(session.expires) - Date.now();
  timer = setTimeout(() => nearEnd(session), Math.min(Math.max(left - warnBefore, 0), 2 ** 31 - 1));
}

function nearEnd(session) {
  const left = new Date(session.expires) - Date.now();
  if (left <= 0) {
    show(null);
    say('The session has ended. Sign in again.', true);
    return;
  }
  say('The session ends in less than five minutes.', true);
  find('stay').hidden = !session.renewable;
  timer = setTimeout(() => nearEnd(session), left);
}

// refresh shows who is signed in. Asking is using: the server moves the end.
async function refresh() {
  try {
    show(await ask('GET', '/session'));
    say('', false);
  } catch (error) {
    show(null);
    say(error.code === 401 ? '' : error.message, error.code !== 401);
  }
}

find('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const token = find('token').value;
  find('token').value = '';
  try {
    show(await ask('POST', '/login', { token }));
    say('', false);
  } catch (error) {
    say(error.code === 401 ? 'The cluster does not accept this token: it may have expired, or be of another cluster.' : error.message, true);
    find('token').focus();
  }
});

find('sign-out').addEventListener('click', async () => {
  try {
    await ask('POST', '/logout');
    show(null);
    say('Signed out.', false);
  } catch (error) {
    say(error.message, true);
  }
});

find('stay').addEventListener('click', refresh);

// A link may bring a token behind #token=, which is not sent to any server. It is taken out of the address, and
// somebody has to press the button: a link of a stranger must not sign anybody in unasked.
const linked = new URLSearchParams(location.hash.slice(1)).get('token');
if (linked) {
  history.replaceState(null, '', location.pathname + location.search);
}
refresh().then(() => {
  if (linked) {
    show(null);
    find('token').value = linked;
    find('submit').focus();
    say('The link has a token. Sign in with it if you know who sent it.', false);
  }
});
