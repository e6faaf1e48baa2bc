// Logs a person in at the configured issuer by the authorization code flow with PKCE (RFC 7636); the page is a public client.
const STARTED = 'tributary:login';
const TOKEN = 'tributary:token';

export function makeLogin(settings) {
  return settings.login ? new Login(settings.login) : undefined;
}

class Login {
  constructor({ issuer, clientId, scope, parameters }) {
    this.issuer = issuer;
    this.clientId = clientId;
    this.scope = scope;
    this.parameters = parameters;
    this.redirectUri = `${location.origin}${location.pathname}`;
  }

  // The access token, while it is valid. It lives with the tab and is gone with it.
  token() {
    const kept = JSON.parse(sessionStorage.getItem(TOKEN) ?? 'null');
    return kept && kept.until > Date.now() ? kept.token : undefined;
  }

  leave() {
    sessionStorage.removeItem(TOKEN);
  }

  // Goes to the issuer.
  async begin() {
    const { authorization_endpoint: endpoint } = await this.discover();
    const state = random();
    const verifier = random();
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
    sessionStorage.setItem(STARTED, JSON.stringify({ state, verifier }));
    const url = new URL(endpoint);
    const parameters = {
      ...this.parameters,
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: this.scope,
      state,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    location.assign(url);
  }

  // Takes what the issuer sent back, when this visit comes from there.
  async finish() {
    const sent = new URLSearchParams(location.search);
    if (!sent.has('state')) return;
    const started = JSON.parse(sessionStorage.getItem(STARTED) ?? 'null');
    sessionStorage.removeItem(STARTED);
    // Neither the code nor a failed attempt stays in the address or in the history.
    history.replaceState(null, '', this.redirectUri);
    if (started?.state !== sent.get('state')) throw new Error('this login was not begun here');
    const from = sent.get('iss');
    if (from !== null && from !== this.issuer) throw new Error('another issuer answered');
    if (sent.has('error')) throw new Error(sent.get('error_description') ?? sent.get('error'));
    const { token_endpoint: endpoint } = await this.discover();
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: sent.get('code'),
        client_id: this.clientId,
        redirect_uri: this.redirectUri,
        code_verifier: started.verifier,
      }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error_description ?? answer.error ?? 'no token came');
    const until = Date.now() + (answer.expires_in ?? 300) * 1000;
    sessionStorage.setItem(TOKEN, JSON.stringify({ token: answer.access_token, until }));
  }

  async discover() {
    const response = await fetch(`${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const found = await response.json();
    if (found.issuer !== this.issuer) throw new Error('the issuer describes another one');
    return found;
  }
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
