# Metrics, alarms, the dashboard and the saved queries, as in the SAM templates.

locals {
  has_alarm  = var.alarm != null
  checks_age = local.has_alarm && var.not_rotated_for_days > 0
  log_group  = aws_cloudwatch_log_group.functions.name
  metric     = "${var.name}-unfinished"

  queries = {
    errors     = <<-EOT
      fields @timestamp, error_type, message
      | filter level = "ERROR"
      | sort @timestamp desc
      | limit 100
    EOT
    rotations  = <<-EOT
      fields @timestamp, SecretId, Step, Outcome, ErrorType, Duration
      | filter ispresent(Outcome)
      | sort @timestamp desc
      | limit 200
    EOT
    unfinished = <<-EOT
      filter ispresent(Outcome) and Step != "preflight"
      | stats latest(Step) as last_step, latest(Outcome) as last_outcome,
          latest(ErrorType) as error, max(@timestamp) as at by SecretId
      | filter last_step != "finishSecret" or last_outcome = "failure"
      | sort at desc
    EOT
  }

  graphs = {
    "Finished rotations and failed steps" = {
      view = "bar"
      query = join(" ", [
        "filter Step = 'finishSecret' or Outcome = 'failure'",
        "| stats sum(Success) as finished, sum(Failure) as failed by bin(1d)",
      ])
    }
    "Duration of the steps in ms (95th percentile)" = {
      view = "table"
      query = join(" ", [
        "filter ispresent(Outcome)",
        "| stats pct(Duration, 95) as p95, count() as steps by Step, Engine",
      ])
    }
    "Errors" = {
      view = "table"
      query = join(" ", [
        "fields @timestamp, error_type, message | filter level = 'ERROR'",
        "| sort @timestamp desc | limit 50",
      ])
    }
  }
}

# One metric holds the state of the rotations. A failed step sets it to 1, and a finished rotation
# to 0. In an hour with both, the minimum counts.
resource "aws_cloudwatch_log_metric_filter" "failed_step" {
  name           = "${var.name}-failed-step"
  log_group_name = local.log_group
  pattern        = "{ $.Outcome = \"failure\" && $.Step != \"preflight\" }"

  metric_transformation {
    namespace = "SecretsRotation"
    name      = local.metric
    value     = "1"
  }
}

resource "aws_cloudwatch_log_metric_filter" "finished_rotation" {
  name           = "${var.name}-finished-rotation"
  log_group_name = local.log_group
  pattern        = "{ $.Outcome = \"success\" && $.Step = \"finishSecret\" }"

  metric_transformation {
    namespace = "SecretsRotation"
    name      = local.metric
    value     = "0"
  }
}

# After a failed step, the alarm repeats the state for the hours without one. It sends no message
# when it ends, because it also ends if nothing happens any more.
resource "aws_cloudwatch_metric_alarm" "unfinished" {
  count = local.has_alarm ? 1 : 0

  alarm_name = local.metric
  alarm_description = join(" ", [
    "A step failed, and no rotation finished in the two hours after it.",
    "The functions' log has the cause and the remedy.",
  ])
  alarm_actions       = [var.alarm.topic_arn]
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "unfinished"
    expression  = "FILL(state, REPEAT)"
    label       = "unfinished rotation"
    return_data = true
  }

  metric_query {
    id          = "state"
    return_data = false

    metric {
      namespace   = "SecretsRotation"
      metric_name = local.metric
      period      = 3600
      stat        = "Minimum"
    }
  }
}

# Events of Secrets Manager, which CloudTrail delivers. They also report a function that crashes
# or cannot be invoked, which logs no failed step.
resource "aws_cloudwatch_event_rule" "failed" {
  count = local.has_alarm ? 1 : 0

  name_prefix = "${substr(var.name, 0, 28)}-"
  description = "Secrets Manager reports that a rotation failed or was abandoned"
  event_pattern = jsonencode({
    source        = ["aws.secretsmanager"]
    "detail-type" = ["AWS Service Event via CloudTrail"]
    detail        = { eventName = ["RotationFailed", "RotationAbandoned"] }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  count = local.has_alarm ? 1 : 0

  rule = aws_cloudwatch_event_rule.failed[0].name
  arn  = var.alarm.topic_arn
}

# An alarm sees at most seven days, so AWS Config checks the age of the secrets.
resource "aws_config_config_rule" "not_rotated" {
  count = local.checks_age ? 1 : 0

  name             = "${var.name}-not-rotated"
  description      = "Secrets that were not rotated for a number of days"
  input_parameters = jsonencode({ maxDaysSinceRotation = tostring(var.not_rotated_for_days) })

  source {
    owner             = "AWS"
    source_identifier = "SECRETSMANAGER_SECRET_PERIODIC_ROTATION"
  }
}

resource "aws_cloudwatch_event_rule" "not_rotated" {
  count = local.checks_age ? 1 : 0

  name_prefix = "${substr(var.name, 0, 28)}-"
  description = "A secret was not rotated for a number of days"
  event_pattern = jsonencode({
    source        = ["aws.config"]
    "detail-type" = ["Config Rules Compliance Change"]
    detail = {
      messageType         = ["ComplianceChangeNotification"]
      configRuleName      = ["${var.name}-not-rotated"]
      newEvaluationResult = { complianceType = ["NON_COMPLIANT"] }
    }
  })
}

resource "aws_cloudwatch_event_target" "not_rotated" {
  count = local.checks_age ? 1 : 0

  rule = aws_cloudwatch_event_rule.not_rotated[0].name
  arn  = var.alarm.topic_arn
}

resource "aws_cloudwatch_query_definition" "query" {
  for_each = local.queries

  name            = "${var.name}/${each.key}"
  log_group_names = [local.log_group]
  query_string    = each.value
}

resource "aws_cloudwatch_dashboard" "rotations" {
  count = var.dashboard ? 1 : 0

  dashboard_name = "${var.name}-rotations"
  dashboard_body = jsonencode({
    widgets = concat(
      [
        for title, graph in local.graphs : {
          type   = "log"
          width  = 12
          height = 8
          properties = {
            title  = title
            region = local.region
            view   = graph.view
            query  = "SOURCE '${local.log_group}' | ${graph.query}"
          }
        }
      ],
      [
        {
          type   = "metric"
          width  = 12
          height = 8
          properties = {
            title   = "Unfinished rotation (1), finished rotation (0)"
            region  = local.region
            view    = "timeSeries"
            period  = 3600
            stat    = "Minimum"
            metrics = [["SecretsRotation", local.metric]]
          }
        },
      ],
    )
  })
}
