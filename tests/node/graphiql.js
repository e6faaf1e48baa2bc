// Opens /graphiql in a real browser as a user would and prints what was seen, as JSON.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const { url, screenshot } = JSON.parse(process.argv[2]);
const executablePath = execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

const seen = { requests: [], problems: [], workers: 0 };
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('requestfailed', (request) => {
    // A reload cancels what is still under way; that is the visitor's doing, not a fault of the page.
    const cause = request.failure()?.errorText;
    if (cause !== 'net::ERR_ABORTED') seen.problems.push(`${request.url()}: ${cause}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) seen.problems.push(`${response.url()}: ${response.status()}`);
  });
  page.on('pageerror', (error) => seen.problems.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.problems.push(message.text());
  });
  page.on('worker', () => (seen.workers += 1));
  page.setDefaultTimeout(30_000);

  try {
    await use(page);
  } catch (error) {
    await page.screenshot({ path: screenshot });
    throw error;
  }
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(JSON.stringify(seen, null, 2));
  throw error;
} finally {
  await browser.close();
}

// Waits by locators only: Playwright's `waitForFunction` needs `eval`, which the page's policy refuses.
async function use(page) {
  const started = performance.now();
  const sinceStart = () => Math.round(performance.now() - started);
  // Monaco writes blanks as no-break spaces.
  const textOf = async (locator) => (await locator.innerText()).replaceAll('\u00a0', ' ');
  await page.goto(url);
  const query = page.locator('.graphiql-query-editor .view-lines', { hasText: 'query' });
  await query.waitFor();
  seen.readyMs = sinceStart();
  seen.query = await textOf(query);
  const headers = page.locator('.graphiql-editor-tool .view-lines:visible', { hasText: 'Authorization' });
  await headers.waitFor();
  seen.headers = await textOf(headers);
  seen.tabs = (await page.locator('.graphiql-tab').allInnerTexts()).map((tab) => tab.trim());
  await page.locator('.graphiql-execute-button').click();
  const answer = page.locator('.graphiql-response .view-lines', { hasText: 'data' });
  await answer.waitFor();
  seen.ranMs = sinceStart();
  seen.answer = await textOf(answer);
  // The types can be explored once the schema has arrived.
  await page.locator('button[aria-label="Show Documentation Explorer"]').click();
  await page.locator('.graphiql-doc-explorer').getByText('Query', { exact: true }).first().waitFor();
  seen.exploredMs = sinceStart();
  await page.screenshot({ path: screenshot });
  await visitAgain(page, answer);
  await subscribe(page);
}

// A subscription shows its latest answer, and ends with the stop button though none comes.
async function subscribe(page) {
  const open = async (name) => {
    await page.locator('.graphiql-tab', { hasText: name }).click();
    await page.locator('.graphiql-query-editor .view-lines', { hasText: name }).waitFor();
    await page.locator('.graphiql-execute-button').click();
  };
  await open('Counting');
  await page.locator('.graphiql-response .view-lines', { hasText: /"count":\s3/ }).waitFor();
  await open('Silence');
  const stop = page.locator('.graphiql-execute-button[aria-label^="Stop"]');
  await stop.waitFor();
  await stop.click();
  await page.locator('.graphiql-execute-button[aria-label^="Execute"]').waitFor();
}

// A second visit keeps the tabs as they were, and each of them has the header.
async function visitAgain(page, answer) {
  await page.reload();
  await page.locator('.graphiql-query-editor .view-lines', { hasText: 'OneCustomer' }).waitFor();
  seen.tabsAgain = (await page.locator('.graphiql-tab').allInnerTexts()).map((tab) => tab.trim());
  await page.locator('.graphiql-tab', { hasText: 'WhoAmI' }).click();
  await page.locator('.graphiql-query-editor .view-lines', { hasText: 'WhoAmI' }).waitFor();
  await page.locator('.graphiql-execute-button').click();
  await answer.waitFor();
  seen.answerAgain = (await answer.innerText()).replaceAll('\u00a0', ' ');
}
