// Player: a face, its sound and its lip-opening curve. The <audio> element is the only clock: frame = floor(currentTime * fps).
// A frame is rebuilt here from a motion basis: vertices = mean + sum_k weight_k * scale_k * row_k (rows are 16-bit integers).

const PLAYER_HTML = `
  <canvas class="face-view" tabindex="0" aria-label="Animated face: drag to turn, wheel to zoom, double-click to reset"></canvas>
  <div class="face-transport">
    <button type="button" class="face-play" aria-label="Play" title="Play or pause (space)">&#9654;</button>
    <input type="range" class="face-scrub" min="0" max="0" value="0" step="1" aria-label="Frame">
    <output class="face-clock"></output>
  </div>
  <canvas class="face-curve" aria-label="Lip opening over time"></canvas>
  <audio preload="auto"></audio>`;

class Player {
  constructor(root) {
    this.root = root;
    root.classList.add("face-player");
    root.innerHTML = PLAYER_HTML;
    const find = (name) => root.querySelector(name);
    this.audio = find("audio"); this.scrub = find(".face-scrub"); this.clock = find(".face-clock");
    this.button = find(".face-play"); this.curveCanvas = find(".face-curve");
    this.view = new FaceView(find(".face-view"));
    this.onDrawn = () => {};
    this.listen();
    root.facePlayer = this;
  }

  listen() {
    this.button.addEventListener("click", () => this.toggle());
    this.root.addEventListener("keydown", (e) => {
      if (e.key === " " && e.target !== this.button) { e.preventDefault(); this.toggle(); }
    });
    this.scrub.addEventListener("input", () => this.seek((Number(this.scrub.value) + 0.5) / this.fps));
    this.curveCanvas.addEventListener("pointerdown", (e) => this.seek(this.timeAt(e.offsetX)));
    this.curveCanvas.addEventListener("pointermove", (e) => { if (e.buttons) this.seek(this.timeAt(e.offsetX)); });
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.playStateChanged());
    for (const event of ["seeked", "loadedmetadata"]) this.audio.addEventListener(event, () => this.requestDraw());
    this.resizer = new ResizeObserver(() => this.requestDraw());
    this.resizer.observe(this.root);
  }

  setMesh({ faces, colours }) { this.mesh = { faces, colours }; this.framed = false; }

  setBasis({ mean, rows, scales }) {
    this.basis = { mean, rows, scales };
    this.vertices = new Float32Array(mean.length);
  }

  setMotion({ weights, opening, fps, stamp }) {
    Object.assign(this, { weights, opening, fps, stamp });
    this.frames = opening.length;
    this.scrub.max = String(this.frames - 1);
    this.requestDraw();
  }

  // A paused newcomer sees the widest mouth rather than the silence at the start; play then begins at the start.
  setAudio(bytes) {
    this.audio.pause();
    if (this.audioUrl) URL.revokeObjectURL(this.audioUrl);
    this.audioUrl = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
    this.audio.src = this.audioUrl;
    this.poster = true;
  }

  get frame() {
    if (this.poster) return this.opening.indexOf(Math.max(...this.opening));
    return Math.max(0, Math.min(this.frames - 1, Math.floor(this.audio.currentTime * this.fps + 1e-6)));
  }

  toggle() {
    if (!this.audio.paused) return this.audio.pause();
    if (this.poster) this.audio.currentTime = 0;
    this.poster = false;
    return this.audio.play();
  }

  seek(time) {
    this.poster = false;
    this.audio.currentTime = Math.max(0, Math.min(time, this.frames / this.fps - 1e-3));
    this.requestDraw();
  }

  playStateChanged() {
    const playing = !this.audio.paused && !this.audio.ended;
    this.button.innerHTML = playing ? "&#10074;&#10074;" : "&#9654;";
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.requestDraw();
  }

  requestDraw() {
    if (this.waiting || !this.weights || !this.basis) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
      if (!this.audio.paused && !this.audio.ended) this.requestDraw();
    });
  }

  draw() {
    if (!this.root.isConnected) return;
    const frame = this.frame;
    if (!this.framed) { this.view.setMesh(this.mesh.faces, this.mesh.colours, this.basis.mean); this.framed = true; }
    if (frame !== this.shownFrame || this.shownWeights !== this.weights) {
      this.view.setVertices(this.buildVertices(frame));
      this.shownFrame = frame; this.shownWeights = this.weights;
    }
    this.view.draw();
    this.drawCurve(frame);
    this.report(frame);
  }

  buildVertices(frame) {
    const { mean, rows, scales } = this.basis, rank = scales.length, out = this.vertices, size = mean.length;
    out.set(mean);
    for (let k = 0; k < rank; k++) {
      const weight = this.weights[frame * rank + k] * scales[k], start = k * size;
      if (weight !== 0) for (let i = 0; i < size; i++) out[i] += weight * rows[start + i];
    }
    return out;
  }

  report(frame) {
    this.scrub.value = String(frame);
    this.clock.textContent = `${(frame / this.fps).toFixed(2)} s   frame ${frame + 1} / ${this.frames}`;
    let checksum = 0;
    for (let i = 0; i < this.vertices.length; i++) checksum += this.vertices[i] * (1 + (i % 7));
    Object.assign(this.root.dataset, {
      frame, frames: this.frames, fps: this.fps, checksum: checksum.toFixed(3), stamp: this.stamp,
      playing: !this.audio.paused && !this.audio.ended,
    });
    if (this.stamp !== this.drawnStamp) { this.view.finish(); this.drawnStamp = this.stamp; this.onDrawn(this.stamp); }
  }

  plotArea() {
    const box = { left: 46, right: 12, top: 10, bottom: 34 };
    return { ...box, width: this.curveCanvas.clientWidth - box.left - box.right, height: this.curveCanvas.clientHeight - box.top - box.bottom };
  }

  timeAt(x) { const area = this.plotArea(); return (((x - area.left) / area.width) * this.frames) / this.fps; }

  drawCurve(frame) {
    const canvas = this.curveCanvas, ratio = window.devicePixelRatio || 1, area = this.plotArea(), style = getComputedStyle(canvas);
    const seconds = this.frames / this.fps, top = niceCeiling(Math.max(...this.opening));
    const x = (t) => area.left + (t / seconds) * area.width, y = (mm) => area.top + area.height * (1 - mm / top);
    canvas.width = canvas.clientWidth * ratio; canvas.height = canvas.clientHeight * ratio;
    const ink = canvas.getContext("2d");
    ink.scale(ratio, ratio);
    ink.font = "12px system-ui, sans-serif";
    drawAxes(ink, area, { x, y, seconds, top, colour: style.color });
    ink.strokeStyle = style.getPropertyValue("--curve"); ink.lineWidth = 1.8; ink.lineJoin = "round";
    ink.beginPath();
    this.opening.forEach((mm, i) => ink.lineTo(x((i + 0.5) / this.fps), y(mm)));
    ink.stroke();
    const now = x((frame + 0.5) / this.fps);
    ink.strokeStyle = ink.fillStyle = style.getPropertyValue("--cursor"); ink.lineWidth = 1.2;
    ink.beginPath(); ink.moveTo(now, area.top); ink.lineTo(now, area.top + area.height); ink.stroke();
    ink.beginPath(); ink.arc(now, y(this.opening[frame]), 4, 0, 7); ink.fill();
  }

  destroy() {
    this.audio.pause();
    this.resizer.disconnect();
    if (this.waiting) cancelAnimationFrame(this.waiting);
    if (this.audioUrl) URL.revokeObjectURL(this.audioUrl);
    this.view.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function niceCeiling(value) {
  const step = [2, 5, 10, 20, 30, 40, 60, 80, 100].find((s) => s >= value);
  return step ?? Math.ceil(value / 100) * 100;
}

function drawAxes(ink, area, { x, y, seconds, top, colour }) {
  const floor = area.top + area.height;
  ink.fillStyle = colour; ink.strokeStyle = colour; ink.lineWidth = 1;
  ink.globalAlpha = 0.25; ink.beginPath();
  for (const mm of [0, top / 2, top]) { ink.moveTo(area.left, y(mm)); ink.lineTo(area.left + area.width, y(mm)); }
  ink.stroke(); ink.globalAlpha = 1;
  ink.textAlign = "right"; ink.textBaseline = "middle";
  for (const mm of [0, top / 2, top]) ink.fillText(String(mm), area.left - 6, y(mm));
  const step = [0.25, 0.5, 1, 2, 5, 10].find((s) => seconds / s <= 10) ?? 30;
  ink.textAlign = "center"; ink.textBaseline = "top";
  for (let t = 0; t <= seconds + 1e-9; t += step) ink.fillText(String(t), x(t), floor + 4);
  ink.fillText("time (s)", area.left + area.width / 2, floor + 18);
  ink.save(); ink.translate(11, area.top + area.height / 2); ink.rotate(-Math.PI / 2);
  ink.textBaseline = "middle"; ink.fillText("lip opening (mm)", 0, 0); ink.restore();
}
