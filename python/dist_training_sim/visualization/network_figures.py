"""Figures of communication and scale: traffic, networks, collectives, throughput over devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from . import collective_curves, communication, links, scaling, topology
from .board import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..communication import CommunicationModel
    from ..hardware import Cluster
    from ..network.step_links import StepLinks

__all__ = ["NetworkFigures"]


class NetworkFigures(Board):
    """Draws who sends what to whom, over what, and how a job scales."""

    def plot_communication_graph(
        self,
        comm_adjacency: object,
        *,
        title: str | None = None,
        layout: str = "auto",
        devices_per_node: int | None = None,
    ) -> Figure:
        """Draw who sends how many bytes to whom.

        Parameters
        ----------
        comm_adjacency
            Square matrix of bytes, row sends to column: nested sequences or a NumPy array. The diagonal is traffic
            inside a device and not drawn. Or a result of `TrainingSimulator`, which has `comm_adjacency`.
        title
            Heading; by default device count and total bytes.
        layout
            "circle" (or "graph"), "grid", "nodes": devices at these places with arrows, wider and darker for more bytes
            (at most 128 devices); "matrix": heat map; "auto" (default): arrows for up to 32 devices and 130 arrows,
            else the heat map.
        devices_per_node
            Devices of a node (layout "nodes", by default 8) or of a row of the grid.

        Raises
        ------
        ConfigError
            If the matrix is empty, not square, or holds NaN, infinite or negative numbers, or the layout
            is unknown or does not suit them.
        """
        return self._shown(
            communication.communication_graph(
                self._theme, comm_adjacency, title=title, layout=layout, devices_per_node=devices_per_node
            )
        )

    def plot_heat_map(self, comm_adjacency: object, *, title: str | None = None) -> Figure:
        """Draw traffic as a heat map, whatever the number of devices: `plot_communication_graph(layout="matrix")`.

        Above 512 devices a cell stands for a block of devices.
        """
        return self.plot_communication_graph(comm_adjacency, title=title, layout="matrix")

    def plot_topology(self, network: CommunicationModel | Cluster | str, *, title: str | None = None) -> Figure:
        """Draw a network with all its links, or a cluster: its first nodes, what joins them and their devices.

        Parameters
        ----------
        network
            A `CommunicationModel` (at most 4,096 vertices), a `Cluster`, or the name of one (`"64xdgx-h100"`).
        title
            Heading; by default what it is.

        Raises
        ------
        ConfigError
            If it is something else, unknown or too large.
        """
        return self._shown(topology.topology_drawing(self._theme, network, title=title))

    def plot_link_use(self, step: StepLinks, *, title: str | None = None) -> Figure:
        """Draw how much of the scale-up ports, the NICs and the leaf-spine cables a step takes over time.

        Each tier has a panel: the busiest link of each interval as an area, the mean of all links as a line.

        Parameters
        ----------
        step
            `links` of a `Result` that was simulated with `link_intervals`.
        title
            Heading.

        Raises
        ------
        ConfigError
            If `step` is something else.
        """
        return self._shown(links.link_use(self._theme, step, title=title))

    def plot_collectives(
        self,
        predicted: Mapping[str, Iterable[object]],
        measured: Mapping[str, Iterable[object]] | None = None,
        *,
        bandwidth: bool = True,
        title: str | None = None,
    ) -> Figure:
        """Draw collectives over the message size: predictions as lines, measurements as points of the same colour.

        Parameters
        ----------
        predicted, measured
            For each label `CollectiveEstimate`s (as of `dts.collective_sweep`) or pairs (size in bytes, value). Equal
            labels share a colour.
        bandwidth
            Values are bus bandwidths in bytes per second (default); otherwise seconds.
        title
            Heading.

        Raises
        ------
        ConfigError
            If there is nothing to draw, or a point is no pair of positive finite numbers.
        """
        return self._shown(
            collective_curves.collective_curves(self._theme.name, predicted, measured, bandwidth=bandwidth, title=title)
        )

    def plot_scaling_efficiency(
        self,
        num_devices: Iterable[object],
        throughput: Iterable[object],
        *,
        low: Iterable[object] | None = None,
        high: Iterable[object] | None = None,
        title: str | None = None,
        unit: str = "samples/s",
        interval: str = "Interval",
    ) -> Figure:
        """Draw throughput beside perfect scaling, and efficiency = (throughput / devices) relative to the fewest.

        Parameters
        ----------
        num_devices
            Distinct positive whole numbers, in any order.
        throughput
            One positive number per entry of `num_devices`, in `unit`.
        low, high
            Ends of an interval of each throughput, drawn as a band; none by default. The efficiency of the fewest
            devices is 100 % by definition, and has none.
        title
            Heading; by default the efficiency at the most devices.
        unit
            Unit of `throughput`, for the axis label.
        interval
            What the legend calls the band, such as `"90 % interval"`.

        Raises
        ------
        ConfigError
            If the lengths differ, a series is empty, a number is not positive and finite, or a throughput lies outside
            its interval.
        """
        return self._shown(
            scaling.scaling_efficiency(
                self._theme,
                num_devices,
                throughput,
                low=low,
                high=high,
                title=title,
                unit=unit,
                interval=interval,
            )
        )
