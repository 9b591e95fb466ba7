// As an editor's debugger does it: stops a running program at a line while a request is answered, looks at what the
// request brought, and lets it go on. Prints what was seen as JSON.
//   node breakpoint.mjs INSPECT_PORT FILE_NAME LINE EXPRESSION URL    (LINE counts from 0)

const [port, file, line, expression, url] = process.argv.slice(2);

const [target] = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
const socket = new WebSocket(target.webSocketDebuggerUrl);
await new Promise((opened, failed) => {
  socket.onopen = opened;
  socket.onerror = failed;
});

let last = 0;
const answers = new Map();
let tellPaused;
const paused = new Promise((resolve) => { tellPaused = resolve; });
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.method === 'Debugger.paused') tellPaused(message.params);
  const answer = answers.get(message.id);
  if (answer) (message.error ? answer.reject(new Error(message.error.message)) : answer.resolve(message.result));
};
const ask = (method, params = {}) => new Promise((resolve, reject) => {
  last += 1;
  answers.set(last, { resolve, reject });
  socket.send(JSON.stringify({ id: last, method, params }));
});

await ask('Debugger.enable');
const set = await ask('Debugger.setBreakpointByUrl', {
  urlRegex: `.*/${file.replaceAll('.', '\\.')}$`,
  lineNumber: Number(line),
});
const request = fetch(url);
const first = await Promise.race([
  paused.then((where) => ({ where })),
  request.then((answer) => ({ answered: answer.status })),
]);
if (!first.where) throw new Error(`answered with ${first.answered} without a stop; locations: ${JSON.stringify(set.locations)}`);
const frame = first.where.callFrames[0];
const seen = await ask('Debugger.evaluateOnCallFrame', { callFrameId: frame.callFrameId, expression });
await ask('Debugger.removeBreakpoint', { breakpointId: set.breakpointId });
await ask('Debugger.resume');
const answer = await request;
console.log(JSON.stringify({ line: frame.location.lineNumber, seen: seen.result.value, status: answer.status }));
socket.close();
