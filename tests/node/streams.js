// Subscribes and asks with the clients that frontends use, and prints what each of them received, as JSON.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import WebSocket from 'ws';

const { url, token, operations } = JSON.parse(process.argv[2]);
const authorization = `Bearer ${token}`;

// Collects what one operation gives until it ends.
function collect(subscribe) {
  return new Promise((resolve) => {
    const seen = { values: [] };
    const end = (how) => resolve({ ...seen, ...how });
    subscribe({
      next: (value) => seen.values.push(value),
      error: (error) => end({ error: describe(error) }),
      complete: () => end({ complete: true }),
    });
  });
}

function describe(error) {
  const errors = Array.isArray(error) ? error : error.errors;
  if (errors) return errors.map((one) => one.extensions?.code ?? one.message);
  if (error.code) return { code: error.code, reason: error.reason };
  return error.message ?? String(error);
}

async function bySocket(query) {
  const client = createSocketClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
  });
  const seen = await collect((sink) => client.subscribe({ query }, sink));
  await client.dispose();
  return seen;
}

async function byEvents(query) {
  const client = createSseClient({ url, headers: { authorization }, retryAttempts: 0 });
  const seen = await collect((sink) => client.subscribe({ query }, sink));
  client.dispose();
  return seen;
}

async function byParts(query) {
  const link = new HttpLink({ uri: url, headers: { authorization } });
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const document = gql(query);
  const kind = document.definitions[0].operation;
  if (kind === 'subscription') {
    const stream = client.subscribe({ query: document, errorPolicy: 'all' });
    return collect((sink) =>
      stream.subscribe({
        ...sink,
        next: ({ data, error }) => sink.next(error ? { error: describe(error) } : { data }),
      }),
    );
  }
  const run = kind === 'mutation' ? client.mutate({ mutation: document }) : client.query({ query: document });
  return run.then(
    ({ data }) => ({ values: [{ data }], complete: true }),
    (error) => ({ values: [], error: describe(error) }),
  );
}

const seen = {};
for (const [name, run] of Object.entries({ socket: bySocket, events: byEvents, parts: byParts })) {
  seen[name] = [];
  for (const operation of operations) seen[name].push(await run(operation));
}
console.log(JSON.stringify(seen));
