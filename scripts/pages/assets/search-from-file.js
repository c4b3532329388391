// A page that is opened from a disk may not start a worker, and the search of the theme runs in one.
// There it runs in a hidden frame instead: the same script, the same messages.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "Search";
      this.frame.srcdoc = "<!doctype html>";
      this.inside = new Promise(resolve => {
        this.frame.addEventListener("load", () => {
          const inside = this.frame.contentWindow;
          inside.postMessage = data => setTimeout(() => this.onmessage?.({ data: structuredClone(data) }));
          const script = inside.document.createElement("script");
          script.src = new URL(url, location);
          script.addEventListener("load", () => resolve(inside));
          inside.document.head.append(script);
        });
      });
      document.body.append(this.frame);
    }
    postMessage(data) {
      this.inside.then(inside => inside.onmessage({ data: structuredClone(data) }));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
