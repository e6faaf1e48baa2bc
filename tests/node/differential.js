// Answers operations with the reference implementation. The first line of input brings the schema and the data; each
// further line is `{"world": …}`, which replaces the data, or an operation, which is answered by a line.
import { createInterface } from 'node:readline';
import { buildSchema, execute, parse, validate } from 'graphql';

let schema;
let world;
// The document asked last: it comes again with other variables.
let last = {};

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};
const canonical = (args) => JSON.stringify(sorted(args));

const hash = (text) => {
  let found = 0x811c9dc5;
  for (const byte of Buffer.from(text)) found = Math.imul(found ^ byte, 0x01000193) >>> 0;
  return found;
};

const value = (datum, args) => {
  if (datum === null) return null;
  if (Array.isArray(datum)) return datum.map((item) => value(item, args));
  if ('leaf' in datum) return datum.leaf;
  if ('object' in datum) return world[datum.object];
  if ('choose' in datum) return value(datum.choose[hash(canonical(args)) % datum.choose.length], args);
  if ('echo' in datum) return canonical(args);
  throw new Error('fails as asked');
};

const refused = (errors) => ({ refused: errors.map((error) => error.message) });

const read = (query) => {
  try {
    const document = parse(query);
    return { query, document, invalid: validate(schema, document) };
  } catch (error) {
    return { query, invalid: [error] };
  }
};

const answer = ({ query, operationName, variables }) => {
  if (last.query !== query) last = read(query);
  const { document, invalid } = last;
  if (invalid.length > 0) return refused(invalid);
  const result = execute({
    schema,
    document,
    operationName,
    rootValue: world[0],
    variableValues: variables,
    fieldResolver: (source, args, _context, info) => value(source.fields[info.fieldName], args),
    typeResolver: (source) => source.type,
  });
  if (result.data === undefined) return refused(result.errors);
  const errors = (result.errors ?? []).map(({ path }) => ({ path }));
  return { data: result.data, errors };
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const message = JSON.parse(line);
  if (message.sdl) schema = buildSchema(message.sdl);
  if (message.world) world = message.world;
  else process.stdout.write(`${JSON.stringify(answer(message))}\n`);
}
