'use strict';
// API keys are stored as SHA-256 only. The platform's own key comes from a file and is entered by name, so
// that a changed file replaces the former key.

const crypto = require('node:crypto');

const BOOTSTRAP = 'bootstrap';

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

module.exports = { BOOTSTRAP, bearerOf, sameSecret, keyHash, enterBootstrapKey, holderOf };
