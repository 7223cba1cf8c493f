//! Synthesises the app without the constructs, for switch.test.ts.  usage: synthesize.js FOLDER

import { createApp } from "./app";

createApp({ outdir: process.argv[2] }).synth();
