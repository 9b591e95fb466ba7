'use strict';

// What nrlint judges in the flows, for `cargo xtask ci flows` and for the editor's linter sidebar. Every rule of its
// own is on. A rule that is not named here is off, so a new version's new rules are added by hand.

module.exports = {
    rules: {
        'align-to-grid': true,
        'max-flow-size': true,
        'no-duplicate-http-in-urls': true,
        'no-loops': { followLinkNodes: true },
        'no-overlapping-nodes': true,
        'no-unconnected-http-nodes': true,
        'no-unnamed-functions': { allowDefaultNames: false },
        'no-unnamed-links': { allowDefaultNames: false },
        'function-eslint': {
            config: {
                env: { es2022: true },
                // What the sandbox of a function node has besides the language; nrlint adds msg, node, context, flow,
                // global, env and RED itself.
                globals: {
                    Buffer: 'readonly',
                    clearInterval: 'readonly',
                    clearTimeout: 'readonly',
                    console: 'readonly',
                    setInterval: 'readonly',
                    setTimeout: 'readonly',
                    URL: 'readonly',
                    URLSearchParams: 'readonly',
                    util: 'readonly',
                },
                parserOptions: { ecmaVersion: 2022 },
                rules: {
                    eqeqeq: 'error',
                    'no-cond-assign': 'error',
                    'no-const-assign': 'error',
                    'no-constant-condition': 'error',
                    'no-debugger': 'error',
                    'no-dupe-args': 'error',
                    'no-dupe-else-if': 'error',
                    'no-dupe-keys': 'error',
                    'no-duplicate-case': 'error',
                    'no-empty': 'error',
                    'no-fallthrough': 'error',
                    'no-func-assign': 'error',
                    'no-global-assign': 'error',
                    'no-redeclare': 'error',
                    'no-self-assign': 'error',
                    'no-undef': 'error',
                    'no-unreachable': 'error',
                    'no-unsafe-finally': 'error',
                    'no-unsafe-negation': 'error',
                    'no-unused-vars': 'error',
                    'no-useless-catch': 'error',
                    'use-isnan': 'error',
                    'valid-typeof': 'error',
                },
            },
        },
    },
};
