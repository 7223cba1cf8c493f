//! The examples of docs/cdk.md are complete apps: they compile, run, and deploy the same.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PACKAGE, PROJECT, createPackages, resourcesOf } from "./support";

const PAGE = readFileSync(join(PROJECT, "docs/cdk.md"), "utf8");

const packages = createPackages();

/** Returns the examples of the page in a language. */
function examples(language: string): string[] {
    const pattern = new RegExp("^```" + language + "\\n(.*?)^```", "gms");
    return [...PAGE.matchAll(pattern)].map((it) => it[1]);
}

/** Runs an app in a folder that has the packages in target/lambda, and returns its template. */
function templateOfProgram(program: string, file: string) {
    const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
    mkdirSync(join(folder, "target"));
    cpSync(packages, join(folder, "target/lambda"), { recursive: true });
    const env = { ...process.env, CDK_OUTDIR: join(folder, "cdk.out"), CDK_VALIDATION: "false" };
    execFileSync(program, [file], { cwd: folder, env, stdio: ["ignore", "inherit", "inherit"] });
    const [template] = readdirSync(join(folder, "cdk.out")).filter((it) =>
        it.endsWith(".template.json"),
    );
    const { Resources } = JSON.parse(readFileSync(join(folder, "cdk.out", template), "utf8"));
    // The CDK records its version and the language.
    delete Resources.CDKMetadata;
    return { Resources };
}

test("the_examples_deploy_the_same_in_both_languages", () => {
    const [typescript, python] = [examples("ts"), examples("python")];
    assert.equal(typescript.length, 2);
    assert.equal(python.length, typescript.length);
    const folder = join(PACKAGE, "build/examples");
    mkdirSync(folder, { recursive: true });
    typescript.forEach((text, index) => writeFileSync(join(folder, `example${index}.ts`), text));
    python.forEach((text, index) => writeFileSync(join(folder, `example${index}.py`), text));
    const compilerOptions = { rootDir: ".", outDir: ".", types: ["node"] };
    const config = { extends: "../../test/tsconfig.json", include: ["*.ts"], exclude: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...config, compilerOptions }));
    execFileSync(join(PACKAGE, "node_modules/.bin/tsc"), ["-p", folder], { stdio: "inherit" });

    const environment = join(PACKAGE, "build/python/bin/python");
    for (const index of typescript.keys()) {
        const file = join(folder, `example${index}`);
        const template = templateOfProgram(process.execPath, `${file}.js`);
        assert.equal(resourcesOf(template, "AWS::Lambda::Function").length, 1);
        assert.equal(resourcesOf(template, "AWS::SecretsManager::RotationSchedule").length, 1);
        assert.doesNotMatch(JSON.stringify(template), /serverlessrepo/);
        assert.deepEqual(templateOfProgram(environment, `${file}.py`), template);
    }
});
