/**
 * The script of the sign-in page. It runs in the browser as it stands here, without a build. Text reaches the page by
 * `textContent` alone.
 */
export const SIGN_IN_SCRIPT = `'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  let csrf = null;

  const show = (id) => {
    for (const part of ['by-link', 'by-password', 'signed-in']) byId(part).hidden = part !== id;
  };
  const complain = (text) => { byId('problem').textContent = text; };

  const call = async (method, path, body) => {
    const headers = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (csrf !== null) headers['x-csrf-token'] = csrf;
    const answer = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    const parsed = text === '' ? null : JSON.parse(text);
    if (!answer.ok) throw new Error(parsed.detail);
    return parsed;
  };

  // Where to go once signed in: a page of the dashboard, whatever the address of this one asks for.
  const asked = new URLSearchParams(location.search).get('next');
  const next = () => {
    const url = asked === null ? null : URL.parse(asked, location.origin);
    const isOurs = url !== null && url.origin === location.origin && url.pathname.startsWith('/dashboard/');
    return isOurs ? url.pathname + url.search : '/dashboard/';
  };
  const goOn = () => location.replace(next());

  const showCaller = (answer) => {
    csrf = answer.csrf;
    byId('who').textContent = answer.caller.name;
    byId('role').textContent = answer.caller.role;
    show('signed-in');
  };

  const on = (id, event, run) => {
    byId(id).addEventListener(event, async (happened) => {
      happened.preventDefault();
      complain('');
      try {
        await run();
      } catch (error) {
        complain(error instanceof TypeError ? 'The hub cannot be reached.' : error.message);
      }
    });
  };

  // What stands behind # never left the browser. It goes from the address bar before anybody can read it there.
  const link = location.hash.slice(1);
  if (link !== '') history.replaceState(null, '', location.pathname + location.search);

  on('by-link', 'submit', async () => {
    const password = byId('new-password').value;
    if (password !== byId('repeated').value) throw new Error('The two passwords are not the same.');
    await call('POST', '/api/v1/sign-in', { link, password });
    goOn();
  });
  on('without-password', 'click', async () => {
    await call('POST', '/api/v1/sign-in', { link });
    goOn();
  });
  on('by-password', 'submit', async () => {
    await call('POST', '/api/v1/sign-in', { name: byId('name').value, password: byId('password').value });
    goOn();
  });
  on('sign-out', 'click', async () => {
    await call('POST', '/api/v1/sign-out', {});
    csrf = null;
    show('by-password');
  });

  if (link !== '') show('by-link');
  else {
    // Whoever is signed in already has come to go on, or, without an address to go on to, to see who that is.
    call('GET', '/api/v1/me').then(asked === null ? showCaller : goOn, () => show('by-password'));
  }
})();
`;
