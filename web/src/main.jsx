// The GraphiQL page: asks the server for its settings, then opens the example queries as tabs.
import './workers.js';
import 'graphiql/style.css';
import './page.css';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

// Sends one operation with the headers of the open tab. Subscriptions have their own transport.
function fetcherFor(url) {
  return async (operation, options) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        Accept: 'application/graphql-response+json, application/json;q=0.9',
        'Content-Type': 'application/json',
        ...options?.headers,
      },
      body: JSON.stringify(operation),
    });
    return response.json();
  };
}

async function open() {
  const response = await fetch('graphiql/settings.json');
  const settings = await response.json();
  const headers =
    Object.keys(settings.headers).length > 0 ? JSON.stringify(settings.headers, null, 2) : undefined;
  const tabs = settings.examples.map((example) => ({
    query: example.query,
    variables: example.variables ? JSON.stringify(example.variables, null, 2) : undefined,
    headers,
  }));
  createRoot(document.getElementById('root')).render(
    <GraphiQL
      fetcher={fetcherFor(settings.url)}
      defaultTabs={tabs.length > 0 ? tabs : undefined}
      defaultHeaders={headers}
      initialHeaders={headers}
      defaultEditorToolsVisibility="headers"
      isHeadersEditorEnabled
    />,
  );
}

open().catch((error) => {
  document.getElementById('root').textContent = `GraphiQL could not start: ${error.message}`;
});
