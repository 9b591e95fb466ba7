'use strict';
// The MCP servers: a session with each, what each offers, and calls that run at most once where the tool does not say
// that it may run again.

const { ErrorCode } = require('@modelcontextprotocol/sdk/types.js');
const { Failure } = require('./failure');
const { shownUrl, wordsOf } = require('./provider-words');
const { storable } = require('./storable');
const { McpSession, Trouble } = require('./mcp-session');

const LIST_LIMIT_MS = 10_000;
const MOST_PAGES = 100;
// Servers say that their tools changed, to those who listen at that moment.
const LIST_LIVES_MS = 300_000;
const LIST_SETTLES_MS = 1000;
// Said before the tool is started.
const NOT_STARTED = new Set([ErrorCode.ParseError, ErrorCode.InvalidRequest, ErrorCode.MethodNotFound, ErrorCode.InvalidParams]);

class McpClients {
  #sessions = new Map();
  #lists = new Map();
  #unlisted = new Set();

  constructor(servers, { log } = {}) {
    this.servers = servers;
    this.log = log;
  }

  // In an expired session nothing ran: once more in a new one, with what the server declares now. `journal(tool, args)`
  // remembers calls that must not be repeated, see tool-journal.js.
  async call({ journal, ...request }) {
    const record = journal?.(request.tool, request.args);
    try {
      return await this.#callOnce(request, record);
    } catch (error) {
      if (error.cause?.expired !== true) throw error;
      return this.#callOnce(request, record);
    }
  }

  async #callOnce({ server, tool, args, taskId, timeoutMs }, written) {
    const { name, repeatable } = await this.#find(server, tool, timeoutMs);
    const record = repeatable ? undefined : written;
    const earlier = await record?.begin();
    if (earlier !== undefined) return earlier;
    const params = { name: tool, arguments: args, ...(taskId ? { _meta: { 'flowship/task_id': taskId } } : {}) };
    let result;
    try {
      result = await this.#ask(name, 'tools/call', params, timeoutMs, { once: !repeatable });
    } catch (error) {
      if (error.ran === 'no' || error instanceof Failure) await record?.nothingRan();
      throw this.#failureOf(name, error, { tool, repeatable });
    }
    if (result.isError) {
      // It ran, and not to its end: whether once more is welcome only the tool knows.
      throw new Failure(`the tool ${tool} of ${name} failed: ${wordsOf(textOf(result), [])}`, { code: 'mcp_tool_failed', permanent: !repeatable });
    }
    const answer = answerOf(name, tool, result);
    await record?.end(answer);
    return answer;
  }

  // -> the names of the server's tools
  async tools(server, timeoutMs) {
    return [...(await this.#listing(server, timeoutMs)).keys()];
  }

  async ping(server, timeoutMs) {
    try {
      await this.#ask(server, 'ping', undefined, timeoutMs);
    } catch (error) {
      // A server that refuses is there.
      if (error.ran !== 'answered') throw this.#failureOf(server, error);
    }
  }

  async #find(server, tool, timeoutMs) {
    if (Object.keys(this.servers).length === 0) {
      throw new Failure(`the tool ${tool} cannot be called: this platform has no MCP server; name one in MCP_SERVERS, or call no tool`, { code: 'mcp_not_configured', permanent: true });
    }
    if (server) this.#addressOf(server);
    const names = server ? [server] : Object.keys(this.servers);
    const found = (lists) => {
      const name = names.find((candidate) => lists.get(candidate)?.has(tool));
      return name === undefined ? undefined : { name, repeatable: isRepeatable(lists.get(name).get(tool)) };
    };
    const known = found(new Map(names.map((name) => [name, this.#lists.get(name)?.tools])));
    if (known !== undefined && !this.#isStale(known.name)) {
      // The first that offers it is called. One that gave no list before is asked again while others work.
      const earlier = names.slice(0, names.indexOf(known.name)).filter((name) => this.#isStale(name));
      if (earlier.every((name) => this.#unlisted.has(name))) {
        for (const name of earlier) this.#listing(name, timeoutMs).then(() => this.#unlisted.delete(name), () => {});
        return known;
      }
    }

    const failures = [];
    const lists = new Map();
    await Promise.all(names.map(async (name) => {
      try {
        lists.set(name, await this.#listing(name, timeoutMs, { mustHave: tool }));
        this.#unlisted.delete(name);
      } catch (failure) {
        this.#unlisted.add(name);
        failures.push(failure);
      }
    }));
    const listed = found(lists);
    if (listed !== undefined) return listed;
    const away = failures.find((failure) => failure.unavailable || failure.retryAfterSeconds !== undefined);
    if (away !== undefined) throw away;
    // A server that is named may offer more than it lists.
    if (server) return { name: server, repeatable: false };
    if (failures.length > 0) throw failures[0];
    const offers = names.map((name) => `${name}: ${[...lists.get(name).keys()].join(', ')}`);
    throw new Failure(`no MCP server offers the tool ${tool} (${offers.join('; ')})`, { code: 'mcp_tool_unknown' });
  }

  #isStale(server) {
    const list = this.#lists.get(server);
    return list?.tools === undefined || Date.now() - list.at > LIST_LIVES_MS;
  }

  // The known list, or a new one that all who ask meanwhile share.
  async #listing(server, timeoutMs, { mustHave } = {}) {
    const known = this.#lists.get(server);
    if (known?.tools !== undefined && !this.#isStale(server)) {
      const missed = mustHave !== undefined && !known.tools.has(mustHave) && Date.now() - known.at > LIST_SETTLES_MS;
      if (!missed) return known.tools;
    } else if (known !== undefined && known.tools === undefined) {
      return this.#within(server, known.listing, timeoutMs);
    }
    const list = { at: Date.now() };
    list.listing = this.#list(server).then((tools) => {
      list.tools = tools;
      return tools;
    });
    this.#lists.set(server, list);
    list.listing.catch(() => this.#forgetTools(server, list));
    return this.#within(server, list.listing, timeoutMs);
  }

  #forgetTools(server, list = this.#lists.get(server)) {
    if (this.#lists.get(server) === list) this.#lists.delete(server);
  }

  async #list(server) {
    const tools = new Map();
    const seen = new Set();
    const deadline = performance.now() + LIST_LIMIT_MS;
    try {
      for (let cursor; ;) {
        const page = await this.#ask(server, 'tools/list', cursor === undefined ? undefined : { cursor }, Math.max(1, deadline - performance.now()));
        for (const tool of Array.isArray(page.tools) ? page.tools : []) if (typeof tool?.name === 'string') tools.set(tool.name, tool);
        cursor = page.nextCursor;
        if (cursor === undefined || cursor === null || cursor === '') return tools;
        if (seen.has(cursor) || seen.size + 1 >= MOST_PAGES) {
          this.log?.warn({ server, tools: tools.size }, 'the list of tools of an MCP server has no end: the rest of it is not read');
          return tools;
        }
        seen.add(cursor);
      }
    } catch (error) {
      throw this.#failureOf(server, error);
    }
  }

  // What is shared has a time-out of its own; this one ends only the waiting.
  async #within(server, shared, timeoutMs) {
    let timer;
    const limit = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(this.#failureOf(server, new Trouble(`did not answer within ${timeoutMs} ms`, { ran: 'no', timedOut: true }))), timeoutMs);
    });
    try {
      return await Promise.race([shared, limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  // A new session is shared by all whose session it was.
  async #ask(server, method, params, timeoutMs, how) {
    const session = this.#session(server);
    try {
      await this.#connected(server, session, timeoutMs);
      return await session.request(method, params, timeoutMs, how);
    } catch (error) {
      // Whoever answers next may be another version of the server.
      if (error.ran === 'no' && error.status === undefined) this.#forgetTools(server);
      if (!error.expired) throw error;
      this.#renew(server, session);
      if (method === 'tools/call') throw error;
      const renewed = this.#session(server);
      await this.#connected(server, renewed, timeoutMs);
      return renewed.request(method, params, timeoutMs, how);
    }
  }

  async #connected(server, session, timeoutMs) {
    try {
      await this.#within(server, session.ready, timeoutMs);
    } catch (error) {
      if (error instanceof Failure) throw error;
      this.#renew(server, session);
      // Whatever became of the greeting, no tool was called.
      throw new Trouble(error.message, { ...error, ran: 'no', expired: false }, error);
    }
  }

  #addressOf(server) {
    const url = this.servers[server];
    if (url === undefined) {
      throw new Failure(`there is no MCP server '${server}': MCP_SERVERS names ${Object.keys(this.servers).join(', ')}`, { code: 'mcp_server_unknown' });
    }
    return url;
  }

  #session(server) {
    let session = this.#sessions.get(server);
    if (session === undefined) {
      session = new McpSession(this.#addressOf(server), { onToolsChanged: () => this.#forgetTools(server) });
      this.#sessions.set(server, session);
    }
    return session;
  }

  #renew(server, session) {
    if (this.#sessions.get(server) !== session) return;
    this.#sessions.delete(server);
    this.#forgetTools(server);
    session.retire();
  }

  #failureOf(server, error, { tool, repeatable = true } = {}) {
    if (error instanceof Failure) return error;
    const what = `the MCP server ${server} at ${shownUrl(this.servers[server])} ${error.message}`;
    if (error.ran === 'answered') {
      if (tool !== undefined && error.rpcCode === ErrorCode.InvalidParams) this.#forgetTools(server);
      return new Failure(what, { code: 'mcp_refused', permanent: !repeatable && !NOT_STARTED.has(error.rpcCode), cause: error });
    }
    if (error.ran === 'unknown' && !repeatable) {
      return new Failure(
        `outcome unknown, not repeated: ${what}; the tool ${tool} may have run, and declares neither idempotentHint nor readOnlyHint`,
        { code: 'mcp_outcome_unknown', permanent: true, cause: error },
      );
    }
    if (error.status >= 300 && error.status < 500 && error.status !== 429) return new Failure(what, { code: 'mcp_refused', cause: error });
    return new Failure(what, {
      code: error.timedOut ? 'mcp_timeout' : 'mcp_unavailable', unavailable: 'mcp', retryAfterSeconds: error.retryAfterSeconds, cause: error,
    });
  }

  async close() {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#lists.clear();
    await Promise.all(sessions.map((session) => session.close()));
  }
}

function isRepeatable(tool) {
  return tool?.annotations?.readOnlyHint === true || tool?.annotations?.idempotentHint === true;
}

function partsOf(result) {
  return Array.isArray(result.content) ? result.content.filter((part) => part !== null && typeof part === 'object') : [];
}

function textOf(result) {
  return partsOf(result).map((part) => part.text ?? part.resource?.text).filter((text) => typeof text === 'string').join('\n');
}

// Images, sounds and resources keep their parts; a text needs none beside the output.
function answerOf(server, tool, result) {
  const parts = partsOf(result);
  const { value, changes } = storable({
    server,
    tool,
    output: result.structuredContent ?? textOf(result),
    ...(parts.some((part) => part.type !== 'text') ? { content: parts } : {}),
  });
  return changes.length === 0 ? value : { ...value, cleaned: changes };
}

module.exports = { McpClients };
