// Runs the audit of the `graphql-http` package against a server and prints each check's verdict, as JSON.
import { auditServer } from 'graphql-http';

const { url, token } = JSON.parse(process.argv[2]);
const fetchFn = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
const results = await auditServer({ url, fetchFn });
const verdicts = results.map(({ id, name, status, reason }) => ({ id, name, status, reason }));
console.log(JSON.stringify(verdicts));
