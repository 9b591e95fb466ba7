'use strict';
// Connections to the MCP servers, and which of them offers which tool.

const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { McpError, ErrorCode } = require('@modelcontextprotocol/sdk/types.js');
const { Failure } = require('./failure');

class McpClients {
  #connections = new Map();

  constructor(servers) {
    this.servers = servers;
  }

  async call({ server, tool, args, taskId, timeoutMs }) {
    const name = server || await this.#serverOffering(tool, timeoutMs);
    const params = { name: tool, arguments: args, ...(taskId ? { _meta: { 'flowship/task_id': taskId } } : {}) };
    const result = await this.#withConnection(name, timeoutMs, (client) => client.callTool(params, undefined, { timeout: timeoutMs }));
    if (result.isError) {
      throw new Failure(`the tool ${tool} of ${name} failed: ${textOf(result)}`, { code: 'mcp_tool_failed' });
    }
    return { server: name, tool, output: result.structuredContent ?? textOf(result) };
  }

  async tools(server, timeoutMs) {
    const { tools } = await this.#withConnection(server, timeoutMs, (client) => client.listTools(undefined, { timeout: timeoutMs }));
    return tools.map((tool) => tool.name);
  }

  async #serverOffering(tool, timeoutMs) {
    const offers = [];
    const failures = [];
    for (const server of Object.keys(this.servers)) {
      try {
        const tools = await this.tools(server, timeoutMs);
        if (tools.includes(tool)) return server;
        offers.push(`${server}: ${tools.join(', ')}`);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    throw new Failure(`no MCP server offers the tool ${tool} (${offers.join('; ')})`, { code: 'mcp_tool_unknown' });
  }

  async #withConnection(server, timeoutMs, work) {
    const known = this.#connections.has(server);
    try {
      return await work(await this.#connect(server, timeoutMs));
    } catch (error) {
      const answered = error instanceof McpError && error.code !== ErrorCode.ConnectionClosed && error.code !== ErrorCode.RequestTimeout;
      if (answered) throw new Failure(`the MCP server ${server} refuses: ${error.message}`, { code: 'mcp_refused', cause: error });
      await this.#forget(server);
      // The server may have been restarted since the last call; a session of before is gone then.
      if (known && !(error instanceof McpError)) return this.#withConnection(server, timeoutMs, work);
      if (error instanceof Failure) throw error;
      throw new Failure(`the MCP server ${server} at ${this.servers[server]} does not answer: ${error.cause?.message ?? error.message}`, {
        code: 'mcp_unavailable', unavailable: 'mcp', cause: error,
      });
    }
  }

  async #connect(server, timeoutMs) {
    const url = this.servers[server];
    if (url === undefined) {
      throw new Failure(`there is no MCP server '${server}': MCP_SERVERS names ${Object.keys(this.servers).join(', ')}`, { code: 'mcp_server_unknown' });
    }
    let connection = this.#connections.get(server);
    if (connection === undefined) {
      connection = (async () => {
        const client = new Client({ name: 'flowship', version: '0.1.0' });
        await client.connect(new StreamableHTTPClientTransport(new URL(url)), { timeout: timeoutMs });
        return client;
      })();
      this.#connections.set(server, connection);
    }
    return connection;
  }

  async #forget(server) {
    const connection = this.#connections.get(server);
    this.#connections.delete(server);
    const client = await connection?.catch(() => undefined);
    await client?.close().catch(() => {});
  }

  async close() {
    await Promise.all([...this.#connections.keys()].map((server) => this.#forget(server)));
  }
}

function textOf(result) {
  return (result.content ?? []).filter((part) => part.type === 'text').map((part) => part.text).join('\n');
}

module.exports = { McpClients };
