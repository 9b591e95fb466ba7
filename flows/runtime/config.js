'use strict';
// The environment of the Node-RED process, as one frozen value.

const fs = require('node:fs');
const path = require('node:path');
const {
  EnvironmentError, readEnvironment, text, oneOf, name, tier, integer, amount, port, httpUrl, namedUrls, argv, secretFile, absolutePath, optional,
} = require('./environment');

// Providers beside the first one: LLM_BACKUP_BASE_URL, LLM_BACKUP_MODEL and LLM_BACKUP_API_KEY_FILE make `backup`.
const OTHER_PROVIDER = /^LLM_([A-Z][A-Z0-9]*)_BASE_URL$/;
const LLM_BASE_URL = httpUrl('an http(s) URL that ends in /v1', (url) => url.pathname.endsWith('/v1'));
const LLM_MODEL = text('the name of a model');
// Of a million tokens.
const PRICE = optional(amount(), null);

const HOST = text('a host name or address to listen on');

const VARIABLES = {
  FLOWSHIP_ENVIRONMENT: name('the name of the environment'),
  FLOWSHIP_TIER: tier(),
  FLOWSHIP_COMPONENT: text('the name of this component, node-red'),
  FLOWSHIP_REPLICA: name('the name of the replica'),
  FLOWSHIP_RELEASE: optional(text('the name of the release that this replica was started from'), null),
  HOLD_FILE: optional(absolutePath('the absolute path of a file; while it exists, this replica takes no requests and no tasks'), null),
  FLOWS_HOST: HOST,
  FLOWS_PORT: port(),
  READY_HOST: HOST,
  READY_PORT: port(),
  OPS_HOST: HOST,
  OPS_PORT: port(),
  EDITOR_HOST: optional(HOST),
  EDITOR_PORT: optional(port()),
  USER_DIR: text('a writable scratch folder'),
  FLOWS_DIR: optional(text('the folder that holds flows.json, test-smoke.json and nodes/'), path.dirname(__dirname)),
  FLOW_GATE: optional(argv('a JSON list of words: the command that judges the flows')),
  LOG_LEVEL: optional(oneOf('debug', 'info', 'warn', 'error'), 'info'),
  DRAIN_DELAY_MS: optional(integer(0, 600000), 800),
  DRAIN_TIMEOUT_MS: optional(integer(1, 3600000), 25000),
  POSTGRES_HOST: text('the host of PostgreSQL'),
  POSTGRES_PORT: port(),
  POSTGRES_DB: text('the name of the database'),
  POSTGRES_USER: text('the name of the database role'),
  POSTGRES_PASSWORD_FILE: secretFile(),
  LLM_BASE_URL,
  LLM_MODEL,
  LLM_PROMPT_PRICE: PRICE,
  LLM_COMPLETION_PRICE: PRICE,
  LLM_API_KEY_FILE: secretFile(),
  MCP_SERVERS: optional(namedUrls('name=url[,name=url], as tools=http://127.0.0.1:4100/mcp'), {}),
  OPS_TOKEN_FILE: secretFile(),
  API_KEY_FILE: secretFile(),
};

function editorProblems(v) {
  const given = v.EDITOR_HOST !== undefined || v.EDITOR_PORT !== undefined;
  if (!given) return [];
  if (v.EDITOR_HOST === undefined || v.EDITOR_PORT === undefined) return ['EDITOR_HOST and EDITOR_PORT belong together: set both, or neither'];
  if (v.FLOWSHIP_TIER !== 'development') {
    return [`EDITOR_PORT is set, but FLOWSHIP_TIER is ${v.FLOWSHIP_TIER}: the editor exists only in development; unset EDITOR_HOST and EDITOR_PORT`];
  }
  return [];
}

function userDirProblems(v) {
  if (v.USER_DIR === undefined) return [];
  try {
    if (!fs.statSync(v.USER_DIR).isDirectory()) return [`USER_DIR=${v.USER_DIR} is not a folder: point it to a writable scratch folder`];
    fs.accessSync(v.USER_DIR, fs.constants.W_OK | fs.constants.X_OK);
    return [];
  } catch (error) {
    return [`USER_DIR=${v.USER_DIR} cannot be used (${error.code}): create it, writable for this user`];
  }
}

function otherProviders(env) {
  return Object.keys(env).map((name) => OTHER_PROVIDER.exec(name)?.[1]).filter((name) => name !== undefined).sort();
}

function providerVariables(name) {
  return {
    [`LLM_${name}_BASE_URL`]: LLM_BASE_URL, [`LLM_${name}_MODEL`]: LLM_MODEL, [`LLM_${name}_API_KEY_FILE`]: secretFile(),
    [`LLM_${name}_PROMPT_PRICE`]: PRICE, [`LLM_${name}_COMPLETION_PRICE`]: PRICE,
  };
}

function provider(v, prefix) {
  const prices = { prompt: v[`${prefix}_PROMPT_PRICE`], completion: v[`${prefix}_COMPLETION_PRICE`] };
  return {
    prices: prices.prompt === null && prices.completion === null ? null : prices,
    baseUrl: v[`${prefix}_BASE_URL`], model: v[`${prefix}_MODEL`], apiKeyFile: v[`${prefix}_API_KEY_FILE`], keyVariable: `${prefix}_API_KEY_FILE`,
  };
}

function readConfig(env) {
  const others = otherProviders(env);
  const { values: v, problems } = readEnvironment(env, Object.assign({}, VARIABLES, ...others.map(providerVariables)));
  problems.push(...editorProblems(v), ...userDirProblems(v));
  if (problems.length > 0) throw new EnvironmentError(problems);

  return deepFreeze({
    environment: v.FLOWSHIP_ENVIRONMENT,
    inDevelopment: v.FLOWSHIP_TIER === 'development',
    component: v.FLOWSHIP_COMPONENT,
    replica: v.FLOWSHIP_REPLICA,
    release: v.FLOWSHIP_RELEASE,
    holdFile: v.HOLD_FILE,
    flows: { host: v.FLOWS_HOST, port: v.FLOWS_PORT },
    ready: { host: v.READY_HOST, port: v.READY_PORT },
    ops: { host: v.OPS_HOST, port: v.OPS_PORT },
    editor: v.EDITOR_PORT === undefined ? null : { host: v.EDITOR_HOST, port: v.EDITOR_PORT },
    userDir: path.resolve(v.USER_DIR),
    flowsDir: path.resolve(v.FLOWS_DIR),
    flowGate: v.FLOW_GATE ?? null,
    logLevel: v.LOG_LEVEL,
    drain: { delayMs: v.DRAIN_DELAY_MS, timeoutMs: v.DRAIN_TIMEOUT_MS },
    postgres: {
      host: v.POSTGRES_HOST,
      port: v.POSTGRES_PORT,
      database: v.POSTGRES_DB,
      user: v.POSTGRES_USER,
      passwordFile: v.POSTGRES_PASSWORD_FILE,
    },
    llm: {
      ...provider(v, 'LLM'),
      others: Object.fromEntries(others.map((name) => [name.toLowerCase(), provider(v, `LLM_${name}`)])),
    },
    mcp: { servers: v.MCP_SERVERS },
    opsTokenFile: v.OPS_TOKEN_FILE,
    apiKeyFile: v.API_KEY_FILE,
  });
}

// A listener that was given port 0 knows its port only once it listens.
function withFlowsPort(config, flowsPort) {
  return deepFreeze({ ...config, flows: { ...config.flows, port: flowsPort } });
}

function deepFreeze(value) {
  for (const inner of Object.values(value)) if (inner && typeof inner === 'object') deepFreeze(inner);
  return Object.freeze(value);
}

module.exports = { readConfig, withFlowsPort, VARIABLES };
