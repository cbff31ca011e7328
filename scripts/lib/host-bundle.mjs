// The daemon and the command line as a few files: Node opens a dozen instead of six hundred, which halves a start and its memory.
// Types are not looked at here (`npm run types`). Knows nothing about the agent runner.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { inRoot } from './paths.mjs';

const source = inRoot('src');

/**
 * Packages that bear being put into one file with ours. All others are loaded from node_modules: compiled ones, those that look for files
 * of their own or know classes by their names (node-fetch of grammY), those that few need, those that skills bring.
 */
const together = new Set([
  ...['@hono/node-server', 'croner', 'dockerode', 'entities', 'hono', 'ipaddr.js', 'marked'],
  ...['pino', 'string-width', 'uqr', 'zod'],
]);

/** What dockerode loads for engines behind SSH and for sessions of BuildKit. Pinch uses neither, and they are most of its time and memory. */
const unused = /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader)$/;

/** Loaded with the first request of the page, when dist/ may have been built anew: a file of its own in there would be gone. */
const later = /^@hono\/node-server$/;

/** Loaded by those packages when it is needed, or asked for although it may be missing. */
const apart = /^(protobufjs|supports-color|encoding)$/;

/**
 * What esbuild is to do. Each file that lies in src/ itself can be imported by its name (main.js, cli.js); what they share, and what is
 * imported later, are further files beside them.
 * @param {string} outdir
 * @returns {import('esbuild').BuildOptions}
 */
export function hostBundle(outdir) {
  const names = readdirSync(source).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  return {
    entryPoints: names.map((name) => join(source, name)),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    legalComments: 'none',
    logLevel: 'warning',
    // CommonJS packages load what belongs to Node.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    plugins: [packages, places, english],
  };
}

/** @type {import('esbuild').Plugin} */
const packages = {
  name: 'packages',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
      if (path.startsWith('node:')) return undefined;
      if (unused.test(path)) return { path, namespace: 'unused' };
      if (apart.test(path)) return { path, external: true };
      const name = path.split('/', path.startsWith('@') ? 2 : 1).join('/');
      // What they need themselves goes with them.
      return importer.startsWith(source) && (!together.has(name) || later.test(path))
        ? { path, external: true }
        : undefined;
    });
    build.onLoad({ filter: /^/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** A module finds its files (SQL, pages, workers) beside where it would lie as a file of its own: they are copied there. */
const places = {
  name: 'places',
  /** @param {import('esbuild').PluginBuild} build */
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!path.startsWith(source) || !text.includes('import.meta.url')) return undefined;
      const own = relative(source, path).replace(/\.ts$/, '.js');
      return {
        contents: text.replaceAll('import.meta.url', `new URL(${JSON.stringify(own)}, import.meta.url).href`),
        loader: 'ts',
      };
    });
  },
};

/** zod's messages in fifty languages are half of zod. */
const english = {
  name: 'english',
  /** @param {import('esbuild').PluginBuild} build */
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};
