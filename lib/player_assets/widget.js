// The Jupyter side: copies traitlets into a Player and answers with "drawn" once a motion is on the screen.

function typed(view, Kind) {  // binary traitlets arrive as DataViews whose offset may not fit the element size
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

const READERS = {
  mesh: (player, m) => player.setMesh({ faces: typed(m.faces, Uint32Array), colours: typed(m.colours, Uint8Array) }),
  basis: (player, b) => player.setBasis({
    mean: typed(b.mean, Float32Array), rows: typed(b.rows, Int16Array), scales: typed(b.scales, Float32Array),
  }),
  audio: (player, bytes) => player.setAudio(bytes),
  motion: (player, m) => player.setMotion({
    weights: typed(m.weights, Float32Array), opening: typed(m.opening, Float32Array), fps: m.fps, stamp: m.stamp,
  }),
};

function render({ model, el }) {
  const root = el.appendChild(document.createElement("div")), player = new Player(root), seen = {};
  const update = () => {
    for (const [name, read] of Object.entries(READERS)) {
      const value = model.get(name);
      if (value !== seen[name]) { seen[name] = value; read(player, value); }
    }
  };
  player.onDrawn = (stamp) => model.send({ kind: "drawn", stamp });
  model.on("change:motion", update);  // every update ends with a new motion
  update();
  return () => { model.off("change:motion", update); player.destroy(); };
}

export default { render };
