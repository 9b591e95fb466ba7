'use strict';
// Node-RED's settings. No secret is read here; what the launcher adds (storage, logging, its own
// services for the nodes) is in runtime/.

const path = require('node:path');

const editor = Boolean(process.env.EDITOR_PORT);

module.exports = {
  userDir: process.env.USER_DIR,
  nodesDir: [path.join(process.env.FLOWS_DIR || __dirname, 'nodes')],
  httpNodeRoot: '/',
  httpAdminRoot: editor ? '/admin' : false,
  disableEditor: !editor,
  readOnly: !editor,
  credentialSecret: false,
  apiMaxLength: '1mb',
  functionExternalModules: false,
  exportGlobalContextKeys: false,
  externalModules: {
    autoInstall: false,
    palette: { allowInstall: false, allowUpload: false },
    modules: { allowInstall: false },
  },
  telemetry: { enabled: false, updateNotification: false },
  diagnostics: { enabled: false, ui: false },
  runtimeState: { enabled: false, ui: false },
  editorTheme: {
    tours: false,
    page: { title: 'Flowship' },
    header: { title: 'Flowship' },
    projects: { enabled: false },
  },
};
