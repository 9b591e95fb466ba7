'use strict';
// The facts that the flows share with the rest of the platform; never repeated here.

module.exports = Object.freeze(require('../../platform.json'));
