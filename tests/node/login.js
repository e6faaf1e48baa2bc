// Logs in on the GraphiQL page at a certified provider, as a person would, and prints what was seen, as JSON.
// The provider's address goes out first, since the gateway is configured with it; the page's comes in by standard input.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';
import { chromium } from 'playwright-core';

// Standard output carries answers only.
console.info = console.error;
console.warn = console.error;
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' };
const AUDIENCE = 'urn:tributary:graph';

const makeProvider = (issuer, page) =>
  new Provider(issuer, {
    clients: [
      {
        client_id: 'graphiql',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        redirect_uris: [page],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [key] },
    scopes: ['openid', 'customer:read'],
    pkce: { required: () => true },
    clientBasedCORS: (_context, origin) => origin === new URL(page).origin,
    cookies: { keys: ['a-key-of-the-tests'] },
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'customer:read',
          audience: AUDIENCE,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });

let handle;
const server = createServer((request, response) => handle(request, response));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
say({ issuer });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { url, screenshot } = JSON.parse((await lines.next()).value);
handle = makeProvider(issuer, url).callback();

const executablePath = execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
});
const seen = { problems: [] };
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.on('pageerror', (error) => seen.problems.push(String(error)));
  // The provider's own page wants a font from elsewhere, and a 401 before and after the login is what must come.
  await page.route('**://fonts.googleapis.com/**', (route) => route.abort());
  const origin = new URL(url).origin;
  page.on('console', (message) => {
    const isOurs = message.location().url.startsWith(origin) && !message.text().includes('401');
    if (message.type() === 'error' && isOurs) seen.problems.push(message.text());
  });
  page.setDefaultTimeout(30_000);
  try {
    await use(page);
  } catch (error) {
    await page.screenshot({ path: screenshot });
    throw error;
  }
  say(seen);
} catch (error) {
  console.error(JSON.stringify(seen, null, 2));
  throw error;
} finally {
  await browser.close();
  server.close();
  process.stdin.destroy();
}

async function use(page) {
  await page.goto(url);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.locator('input[name="login"]').fill('ana');
  await page.locator('input[name="password"]').fill('any');
  await page.locator('button[type="submit"]').click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Log out' }).waitFor();
  seen.address = page.url();
  await page.locator('.graphiql-query-editor .view-lines', { hasText: 'customers' }).waitFor();
  await page.locator('.graphiql-execute-button').click();
  const answer = page.locator('.graphiql-response .view-lines', { hasText: 'data' });
  await answer.waitFor();
  seen.answer = (await answer.innerText()).replaceAll('\u00a0', ' ');
  await page.screenshot({ path: screenshot });
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  await page.locator('.graphiql-execute-button').click();
  const refused = page.locator('.graphiql-response .view-lines', { hasText: 'UNAUTHENTICATED' });
  await refused.waitFor();
  seen.loggedOut = true;
}
