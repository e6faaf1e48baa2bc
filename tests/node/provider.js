// A certified OpenID provider for one test. Commands come as lines of JSON on standard input, answers as lines on standard output.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

// Standard output carries answers only.
console.info = console.error;
console.log = console.error;

const AUDIENCE = 'urn:tributary:graph';
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const key = (kid) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
};

const provider = (issuer, keys) => new Provider(issuer, {
  clients: [{
    client_id: 'partner-app',
    client_secret: 'a-secret-of-the-tests',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  }],
  jwks: { keys },
  scopes: ['customer:read', 'order:read'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'customer:read order:read',
        audience: AUDIENCE,
        accessTokenTTL: 120,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: () => ({ roles: ['partner'], partner: 'acme' }),
});

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let keys = [key('first')];
  handle = provider(issuer, keys).callback();
  say({ issuer });
  createInterface({ input: process.stdin }).on('line', (line) => {
    const command = JSON.parse(line);
    if (command.rotate) {
      // The newest key stands first, and so signs; the old one goes.
      keys = [key(command.rotate)];
      handle = provider(issuer, keys).callback();
      say({ rotated: command.rotate });
    }
  }).on('close', () => process.exit(0));
});
