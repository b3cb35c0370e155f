import { defineConfig } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

// One file: src/sfumato/runs/explorer/page.html, which the Python package fills in and serves.
export default defineConfig({
  plugins: [viteSingleFile()],
  worker: { format: "iife" },
  build: {
    target: "es2022",
    outDir: "../src/sfumato/runs/explorer",
    emptyOutDir: false,
    rollupOptions: { input: "page.html" },
  },
});
