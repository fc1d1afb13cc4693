// How far the site's pages have been indexed: while some wait, the page at / looks again and tells.
"use strict";

const INDEX_EVERY_MS = 700;
const isIndexing = () => byId("index").dataset.state === "indexing";

// The page as the server makes it now tells how far the index has come: the parts that tell of it are taken over.
async function awaitIndex() {
  const told = {};
  byId("send").disabled = isIndexing();
  while (byId("index").dataset.waiting !== "0") {
    await new Promise((resolve) => { setTimeout(resolve, INDEX_EVERY_MS); });
    try {
      const page = new DOMParser().parseFromString(await (await fetch(location.pathname)).text(), "text/html");
      for (const id of ["index", "suggestions", "pages"]) {
        const now = page.getElementById(id);
        if (!now || now.outerHTML === told[id]) continue; // what is opened or read stays as it is
        told[id] = now.outerHTML;
        byId(id)?.replaceWith(now);
      }
    } catch { /* the server is gone or busy: the next look tells */ }
    byId("send").disabled = isIndexing();
  }
}
