// The GraphiQL page: asks the server for its settings, then opens the example queries as tabs.
import './workers.js';
import 'graphiql/style.css';
import './page.css';
import { GraphiQL } from 'graphiql';
import { getOperationAST, parse } from 'graphql';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { makeLogin } from './login.js';
import { subscribe } from './stream.js';

// A text that does not parse is sent as it is: the gateway says what is wrong with it.
function isOfKind(kind, text, operationName) {
  try {
    return getOperationAST(parse(text), operationName)?.operation === kind;
  } catch {
    return false;
  }
}

// Sends one operation with the headers of the open tab. A subscription is answered by a stream of server-sent events.
// The page asks for the schema before the header editor exists, so that request takes the settings' headers.
// What the header editor says goes before the token of a login.
function fetcherFor(settings, login) {
  return async (operation, options) => {
    const isIntrospection = operation.operationName === 'IntrospectionQuery';
    // GraphiQL learns a tab's operation a moment after the tab is opened: a name that the document lacks is the
    // former tab's.
    const operationName = operation.query.includes(operation.operationName)
      ? operation.operationName
      : undefined;
    const token = login?.token();
    const isSubscription = isOfKind('subscription', operation.query, operationName);
    const single = 'application/graphql-response+json, application/json;q=0.9';
    const init = {
      method: 'POST',
      headers: {
        Accept: isSubscription ? `text/event-stream, ${single}` : single,
        'Content-Type': 'application/json',
        ...(token ? { Authorization: `Bearer ${token}` } : undefined),
        ...(options?.headers ?? (isIntrospection ? settings.headers : undefined)),
      },
      body: JSON.stringify({ ...operation, operationName }),
    };
    if (isSubscription) return subscribe(settings.url, init);
    const response = await fetch(settings.url, init);
    return response.json();
  };
}

// One button: the way to the issuer, or the end of the login.
function LoginBar({ login, problem }) {
  const [isIn, setIsIn] = useState(login.token() !== undefined);
  const [said, setSaid] = useState(problem);
  const enter = () => login.begin().catch((error) => setSaid(error.message));
  const leave = () => {
    login.leave();
    setIsIn(false);
  };
  return (
    <header className="login-bar">
      {said && <span role="alert">The login failed: {said}</span>}
      <button type="button" onClick={isIn ? leave : enter}>
        {isIn ? 'Log out' : 'Log in'}
      </button>
    </header>
  );
}

async function open() {
  const response = await fetch('graphiql/settings.json');
  const settings = await response.json();
  const login = makeLogin(settings);
  const problem = await login?.finish().then(() => undefined, (error) => error.message);
  const headers =
    Object.keys(settings.headers).length > 0 ? JSON.stringify(settings.headers, null, 2) : undefined;
  const tabs = settings.examples.map((example) => ({
    query: example.query,
    variables: example.variables ? JSON.stringify(example.variables, null, 2) : undefined,
    headers,
  }));
  // The first tab's variables reach their editor by this property only; tabs kept from an earlier visit bring their own.
  const isFirstVisit = localStorage.getItem('graphiql:tabState') === null;
  createRoot(document.getElementById('root')).render(
    <>
      {login && <LoginBar login={login} problem={problem} />}
      <GraphiQL
        fetcher={fetcherFor(settings, login)}
        defaultTabs={tabs.length > 0 ? tabs : undefined}
        defaultHeaders={headers}
        initialHeaders={headers}
        initialVariables={isFirstVisit ? tabs[0]?.variables : undefined}
        defaultEditorToolsVisibility={login ? true : 'headers'}
        isHeadersEditorEnabled
      />
    </>,
  );
}

open().catch((error) => {
  document.getElementById('root').textContent = `GraphiQL could not start: ${error.message}`;
});
