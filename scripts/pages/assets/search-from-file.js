// A page that is opened from a disk may not start a worker, and the search of the theme runs in one.
// There it runs in a hidden frame instead: the same script, the same messages.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "Search";
      this.waiting = [];
      // Inside the frame `postMessage` goes to this page, as it would in a worker.
      this.frame.srcdoc =
        `<script>self.postMessage = data => parent.postMessage({ worker: "search", data }, "*")<\/script>` +
        `<script src="${url}"><\/script>`;
      this.frame.addEventListener("load", () => {
        this.ready = true;
        this.waiting.splice(0).forEach(data => this.postMessage(data));
      });
      this.hear = event => {
        if (event.source === this.frame.contentWindow && event.data?.worker === "search")
          this.onmessage?.(new MessageEvent("message", { data: event.data.data }));
      };
      addEventListener("message", this.hear);
      document.body.append(this.frame);
    }
    postMessage(data) {
      if (this.ready) this.frame.contentWindow.postMessage(data, "*");
      else this.waiting.push(data);
    }
    terminate() {
      removeEventListener("message", this.hear);
      this.frame.remove();
    }
  };
}
