'use strict';
// API keys are stored as SHA-256 only. The platform's own key comes from a file and is entered by name, so
// that a changed file replaces the former key.

const crypto = require('node:crypto');

const BOOTSTRAP = 'bootstrap';
// Says whose it is to those who find it where it does not belong, and to tools that look for secrets.
const PREFIX = 'flowship_';

function keyHash(key) {
  return crypto.createHash('sha256').update(key).digest('hex');
}

function bearerOf(header) {
  return /^Bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1];
}

function sameSecret(left, right) {
  return crypto.timingSafeEqual(crypto.createHash('sha256').update(left).digest(), crypto.createHash('sha256').update(right).digest());
}

async function enterBootstrapKey(database, key) {
  await database.query(
    `INSERT INTO flowship.api_keys AS known (name, key_sha256) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET key_sha256 = excluded.key_sha256, created_at = now(), revoked_at = NULL
     WHERE known.key_sha256 <> excluded.key_sha256`,
    [BOOTSTRAP, keyHash(key)],
  );
}

async function holderOf(database, key) {
  const { rows } = await database.query(
    'SELECT name FROM flowship.api_keys WHERE key_sha256 = $1 AND revoked_at IS NULL',
    [keyHash(key)],
  );
  return rows[0]?.name;
}

// Counts a request against the key's limit. Undefined: the key is not known, or was revoked.
// -> {holder, workflows, expired, request_limit, requests, resets_seconds}; `workflows` and `request_limit` are null
// where nothing is limited.
async function useKey(database, key) {
  const { rows } = await database.query('SELECT * FROM flowship.use_key($1)', [keyHash(key)]);
  return rows[0];
}

async function listKeys(database) {
  const { rows } = await database.query(
    'SELECT name, workflows, requests_per_minute, created_at, expires_at, revoked_at FROM flowship.api_keys ORDER BY name',
  );
  return rows;
}

// -> the key, which nobody can be told again; undefined where the name is taken.
async function createKey(database, { name, workflows = null, requests_per_minute: limit = null, expires_at: expires = null }) {
  const key = `${PREFIX}${crypto.randomBytes(24).toString('base64url')}`;
  const { rows } = await database.query(
    `INSERT INTO flowship.api_keys (name, key_sha256, workflows, requests_per_minute, expires_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (name) DO NOTHING RETURNING name`,
    [name, keyHash(key), workflows, limit, expires],
  );
  return rows.length === 0 ? undefined : key;
}

// -> whether there was such a key that could still be used.
async function revokeKey(database, name) {
  const { rows } = await database.query(
    'UPDATE flowship.api_keys SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING name',
    [name],
  );
  return rows.length > 0;
}

module.exports = { BOOTSTRAP, bearerOf, keyHash, sameSecret, enterBootstrapKey, holderOf, useKey, listKeys, createKey, revokeKey };
