// The answers of a subscription, read from server-sent events as the protocol graphql-sse names them.

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('The stream ended before the subscription did.');
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split('\n');
      const of = (name) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      if (of('event') === 'complete') return;
      if (of('event') === 'next') yield JSON.parse(of('data'));
    }
  }
}

async function* answers(url, init) {
  const response = await fetch(url, init);
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  if (isStream) yield* events(response);
  else yield await response.json();
}

// An iterator over the answers. Its end closes the connection even while no answer is there: a generator alone would wait
// for the next one.
export function subscribe(url, init) {
  const abort = new AbortController();
  const inner = answers(url, { ...init, signal: abort.signal });
  let isOver = false;
  const over = { value: undefined, done: true };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () =>
      inner.next().catch((error) => {
        if (isOver) return over;
        throw error;
      }),
    return: async () => {
      isOver = true;
      abort.abort();
      return over;
    },
  };
}
