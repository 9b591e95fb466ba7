'use strict';
// What an operator may ask about API keys, judged before the database is.

const { BOOTSTRAP, createKey, listKeys, revokeKey } = require('./api-keys');

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const LARGEST_LIMIT = 1_000_000;
const MEMBERS = ['name', 'workflows', 'requests_per_minute', 'expires_at'];

class KeyError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function problemsOf(wanted, known) {
  const { name, workflows, requests_per_minute: limit, expires_at: expires } = wanted;
  const problems = Object.keys(wanted).filter((member) => !MEMBERS.includes(member)).map((member) => `${member}: expected one of ${MEMBERS.join(', ')}`);
  if (typeof name !== 'string' || !NAME.test(name)) problems.push('name: expected 1 to 64 of a-z, 0-9 and -, such as web-shop');
  if (workflows !== undefined) {
    if (!Array.isArray(workflows) || workflows.length === 0) problems.push('workflows: expected a list of ids, or none for all workflows');
    else {
      const unknown = workflows.filter((id) => !known.includes(id));
      if (unknown.length > 0) problems.push(`workflows: there is no ${unknown.join(', ')}; known are ${known.join(', ')}`);
    }
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= LARGEST_LIMIT)) {
    problems.push(`requests_per_minute: expected a whole number from 1 to ${LARGEST_LIMIT}`);
  }
  if (expires !== undefined && !(typeof expires === 'string' && Date.parse(expires) > Date.now())) {
    problems.push('expires_at: expected a moment in the future, such as 2027-01-31T00:00:00Z');
  }
  return problems;
}

// `workflows()`: the ids that there are.
function keeperOf({ database, workflows, log }) {
  return {
    list: async () => ({ keys: (await listKeys(database)).map((key) => ({ ...key, built_in: key.name === BOOTSTRAP })) }),
    async create(wanted) {
      const problems = problemsOf(wanted, workflows());
      if (problems.length > 0) throw new KeyError(400, problems.join('; '));
      const { expires_at: expires } = wanted;
      const key = await createKey(database, { ...wanted, expires_at: expires && new Date(expires).toISOString() });
      if (key === undefined) throw new KeyError(409, `the name '${wanted.name}' is or was in use; tasks keep the names of their callers: choose another one`);
      log.info({ api_key: wanted.name }, 'an operator created an API key');
      return { name: wanted.name, key };
    },
    async revoke(name) {
      if (name === BOOTSTRAP) throw new KeyError(409, `'${name}' is the platform's own key: its smoke checks use it`);
      if (!await revokeKey(database, name)) throw new KeyError(404, `no API key '${name}' is in use`);
      log.info({ api_key: name }, 'an operator revoked an API key');
      return { name };
    },
  };
}

module.exports = { keeperOf };
