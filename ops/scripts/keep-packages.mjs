// Leaves only the named packages of a package.json and what they need.
//
//     node keep-packages.mjs FOLDER NAME...
//
// Runs while an image is built.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, ...names] = process.argv.slice(2);
const file = join(folder, 'package.json');
const manifest = JSON.parse(readFileSync(file, 'utf8'));
const all = manifest.dependencies ?? {};
const missing = names.filter((name) => !(name in all));
if (missing.length > 0) {
    console.error(`${file}: ${missing.join(', ')} is no dependency; expected some of ${Object.keys(all).join(', ')}`);
    process.exit(1);
}
manifest.dependencies = Object.fromEntries(names.map((name) => [name, all[name]]));
delete manifest.devDependencies;
writeFileSync(file, `${JSON.stringify(manifest, null, 4)}\n`);
execFileSync('npm', ['prune', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--offline'], {
    cwd: folder,
    stdio: 'inherit',
});
