// Judges bills of materials by the schema that CycloneDX publishes:
//
//   node judge_sbom.mjs MODULES FILE...    (MODULES: the folder that holds node_modules)
//
// A line for each fault; exit code 1 when there is one.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, ...files] = process.argv.slice(2);
const require = createRequire(join(modules, 'package.json'));
const { default: Ajv } = require('ajv');
const { default: formats } = require('ajv-formats');

const schemas = join(modules, 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
const schema = name => JSON.parse(readFileSync(join(schemas, `${name}.SNAPSHOT.schema.json`), 'utf8'));

// As CycloneDX's own library calls it; nothing of ours has one of these two formats.
const ajv = new Ajv({ strict: false, allErrors: true, formats: { 'iri-reference': true, 'idn-email': true } });
formats(ajv);
for (const name of ['spdx', 'jsf-0.82']) {
    ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
}
const fits = ajv.compile(schema('bom-1.6'));

for (const file of files) {
    if (!fits(JSON.parse(readFileSync(file, 'utf8')))) {
        process.exitCode = 1;
        for (const { instancePath, message } of fits.errors) {
            console.log(`${file}: ${instancePath || '/'} ${message}`);
        }
    }
}
